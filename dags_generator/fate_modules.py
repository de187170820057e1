"""Modules that FATE 1.x has, so that one of them that is not installed is not taken for a misspelt name."""

_NAMES = """
    ApiReader ColumnExpand DataIO DataStatistics DataTransform Download Evaluation FTL FeatureImputation FeatureScale
    FederatedSample FeldmanVerifiableSum HeteroDataSplit HeteroFM HeteroFastSecureBoost HeteroFeatureBinning
    HeteroFeatureSelection HeteroGMF HeteroKmeans HeteroLR HeteroLinR HeteroMF HeteroNN HeteroPearson HeteroPoisson
    HeteroSSHELR HeteroSSHELinR HeteroSVD HeteroSVDpp HeteroSecureBoost HomoDataSplit HomoFM HomoFeatureBinning HomoLR
    HomoNN HomoNNExperiment HomoOneHotEncoder HomoSecureBoost HomoSecureboost Intersection LabelTransform LocalBaseline
    ModelRestore ModelStore OneHotEncoder PSI Reader Rsa SBTFeatureTransformer SPDZTest SampleWeight Scorecard
    SecureAddExample SecureInformationRetrieval Union Upload Writer
"""
FATE_MODULES = frozenset(_NAMES.split())
