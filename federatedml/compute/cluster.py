"""Kernels on the party's own Dask cluster (extra ``dask``). The cluster belongs to the party, as its disks do.

A cluster is given names of kernels and values, never code; its workers need this package installed. Whoever reaches a
scheduler can run code on it: between machines it is reached by TLS with a certificate of its own, both ways.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from federatedml.compute.engine import Partitions
from federatedml.compute.names import Spelled
from federatedml.errors import ComputeError, FedError, PolicyError, ProtocolError

if TYPE_CHECKING:
    from distributed import Client

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Tls:
    """PEM files by which scheduler and client know each other."""

    ca: str
    cert: str
    key: str


class Cluster:
    """Dask workers at a scheduler's address, connected to at the first call.

    Args:
        address: ``tls://HOST:PORT``, or ``tcp://`` on this machine.
        workers: how many kernels run at once, for those who cut work into parts; None: the cluster is asked.
        patience: seconds for which the cluster is looked for.

    Raises:
        PolicyError: ``FED-755``, the extra ``dask`` is not installed.
    """

    def __init__(
        self, address: str, tls: Tls | None = None, workers: int | None = None, patience: float = PATIENCE_S
    ) -> None:
        if find_spec("distributed") is None:
            raise PolicyError("FED-755", "compute.engine dask needs the extra dask", "pip install airfed[dask]")
        self.address, self.tls, self.patience, self._workers = address, tls, patience, workers
        self._lock = threading.Lock()
        self._client: Client | None = None

    @property
    def workers(self) -> int:
        """Threads of all workers."""
        if self._workers is None:
            with _errors():
                self._workers = max(1, sum(self._connected().nthreads().values()))
        return self._workers

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """See ``Compute``.

        Raises:
            FedError: the kernel's own; ``FED-752`` for any other exception of it.
            ComputeError: ``FED-754``, the cluster is not there; ``FED-750``, it went away or lost the work.
            ProtocolError: ``FED-751``, the kernel has no name, here or there; ``FED-753``, a value cannot travel.
        """
        spelled = Spelled.of(kernel)
        with _errors(spelled.name):
            client = self._connected()
            futures = [client.submit(_call, spelled, part, pure=False) for part in parts]
            return _gathered(client, futures)

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """See ``Compute``. A part whose worker is lost is loaded again at another one."""
        spelled = Spelled.of(load)
        with _errors(spelled.name):
            client = self._connected()
            futures = [client.submit(_call, spelled, part, pure=False) for part in parts]
            _finished(futures)
            return _Held(self, futures)

    def close(self) -> None:
        """Leave the cluster; it runs on."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def use(self, kernel: Spelled, held: Sequence[Any], arguments: tuple[Any, ...]) -> list[Any]:
        """A kernel where its parts are."""
        with _errors(kernel.name):
            client = self._connected()
            where = client.who_has(held)
            futures = [
                client.submit(
                    _call,
                    kernel,
                    part,
                    *arguments,
                    pure=False,
                    workers=list(where.get(part.key, ())) or None,
                    allow_other_workers=True,  # the worker may be gone
                )
                for part in held
            ]
            return _gathered(client, futures)

    def _connected(self) -> Client:
        from distributed import Client, Security

        security = None
        if self.tls is not None:
            security = Security(
                tls_ca_file=self.tls.ca,
                tls_client_cert=self.tls.cert,
                tls_client_key=self.tls.key,
                require_encryption=True,
            )
        with self._lock:
            if self._client is None:
                try:
                    self._client = Client(self.address, security=security, timeout=self.patience, set_as_default=False)
                except (OSError, TimeoutError) as error:
                    raise ComputeError(
                        "FED-754", f"no cluster answers: {type(error).__name__}", self.address
                    ) from error
            return self._client


@contextmanager
def _errors(kernel: str = "") -> Iterator[None]:
    """What Dask raises, in our words; a kernel's own errors come as ``FedError`` from ``_call``."""
    from distributed import CancelledError, KilledWorker

    try:
        yield
    except FedError:
        raise
    except (OSError, TimeoutError, KilledWorker, CancelledError) as error:
        raise ComputeError("FED-750", f"the party's cluster lost its work: {type(error).__name__}") from error
    except Exception as error:
        raise ProtocolError("FED-753", f"an argument or a result of {kernel} cannot travel") from error


class _Held:
    """Parts in the memory of the cluster's workers."""

    def __init__(self, cluster: Cluster, parts: list[Any]) -> None:
        self._cluster, self._parts = cluster, parts

    def map(self, kernel: Callable[..., R], *arguments: Any) -> list[R]:
        return self._cluster.use(Spelled.of(kernel), self._parts, arguments)

    def close(self) -> None:
        self._parts = []  # the cluster forgets what no future names


def _gathered(client: Client, futures: Sequence[Any]) -> list[Any]:
    _finished(futures)
    return list(client.gather(futures))


def _finished(futures: Sequence[Any]) -> None:
    """Wait for all up to the first in order that failed, and raise what it raised."""
    for future in futures:
        error = future.exception()
        if error is not None:
            raise error


def _call(kernel: Spelled, *arguments: Any) -> Any:
    try:
        return kernel(*arguments)
    except FedError:
        raise
    except Exception as error:
        raise FedError("FED-752", f"unexpected {type(error).__name__} in {kernel.name}") from error
