"""What may come to a member in a step: the messages that the component declares, and none besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federatedml.errors import ProtocolError
from federatedml.federation.box import MessageKey
from federatedml.federation.topic import Topic


@dataclass(frozen=True)
class Declared:
    """Topics of the component as it runs, by name."""

    topics: Mapping[str, Topic[Any]]

    def check(self, key: MessageKey, least: int) -> None:
        """Refuse a message before any of it is kept.

        Args:
            least: bytes that it has at least, by the number of its pieces.

        Raises:
            ProtocolError: ``FED-300``, the component has no such topic; ``FED-301``, not between these roles;
                ``FED-302``, it is larger than declared.
        """
        topic = self.topics.get(key.topic)
        if topic is None:
            raise ProtocolError(
                "FED-300", f"{key.source} sent {key.topic[:64]!r}, which the component does not declare"
            )
        if key.source.role not in topic.source or key.destination.role not in topic.to:
            roles = f"{key.source.role} may not send {topic.name!r} to {key.destination.role}"
            raise ProtocolError("FED-301", roles)
        if least > topic.max_bytes:
            problem = f"{topic.name!r} from {key.source} is {least} bytes or more"
            raise ProtocolError("FED-302", f"{problem}, at most {topic.max_bytes} are declared")
