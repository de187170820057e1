"""The process of a party that talks to other parties: relay, coordination, policy."""
