"""Online inference: FastAPI for callers, gRPC with mTLS between parties."""
