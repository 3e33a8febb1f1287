"""One implementation in one process: reads jobs as lines of JSON, answers each with its time and memory.

A job names a task (which data), an implementation and a number of permutations. Everybody gets the same
float32 windows and the same bandwidth; implementations that need float64 get it before the clock starts.
"""

import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.processes import attempt, serve

STATUS = Path("/proc/self/status")  # Linux only; elsewhere memory is not measured
DIRECTIONS = 100


def windows(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two windows without drift, in float32."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d), dtype=np.float32), rng.standard_normal((m, d), dtype=np.float32)


def ours(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Return a call of the helpers."""
    from helpers import calibration, metrics

    kernel = partial(metrics.mmd2, gamma=0.5 / x.shape[1])
    known: dict[str, Callable[..., float]] = {
        "mmd": kernel,
        "energy": metrics.energy_distance,
        "wasserstein 1-D": metrics.wasserstein_pc1,
        "energy 1-D": metrics.energy_distance,
        "classifier": metrics.classifier_accuracy,
        "mmd statistic": kernel,
        "energy statistic": metrics.energy_distance,
        "wasserstein 1-D statistic": metrics.wasserstein_pc1,
        "sliced wasserstein": partial(metrics.sliced_wasserstein, n_projections=DIRECTIONS),
    }
    metric = known[task]
    if permutations:
        return lambda: calibration.permutation_test(metric, x, y, n_resamples=permutations).pvalue
    return lambda: metric(x, y)


def limit(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Return the bare matrix products: half of the pooled matrix by itself and by the permutations."""
    from threadpoolctl import threadpool_limits

    n, d = len(x) + len(y), x.shape[1]
    rng = np.random.default_rng(0)
    band, rows = rng.random((256, d), dtype=np.float32), rng.random((d, n), dtype=np.float32)
    signs = rng.random((n, permutations + 1), dtype=np.float32)
    kernel, sums = np.empty((256, n), np.float32), np.empty((256, permutations + 1), np.float32)

    def products() -> float:
        with threadpool_limits(1, "blas"):
            for _ in range(round(n / 2 / 256)):
                np.dot(band, rows, out=kernel)
                np.dot(kernel, signs, out=sums)
        return 0.0

    return products


def alibi(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Alibi Detect, PyTorch backend."""
    from alibi_detect.cd import MMDDrift

    sigma = np.array([np.sqrt(x.shape[1])], dtype=np.float32)

    def run() -> float:
        test = MMDDrift(x, backend="pytorch", sigma=sigma, n_permutations=permutations)
        return float(test.predict(y)["data"]["p_val"])

    return run


def torchdrift(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """TorchDrift."""
    import torch
    from torchdrift.detectors.mmd import GaussianKernel, kernel_mmd

    kernel = GaussianKernel(lengthscale=float(np.sqrt(x.shape[1])))
    u, v = torch.from_numpy(x), torch.from_numpy(y)
    return lambda: float(kernel_mmd(u, v, n_perm=permutations, kernel=kernel)[1])


def frouros(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Frouros."""
    from frouros.callbacks import PermutationTestDistanceBased
    from frouros.detectors.data_drift import EMD, MMD
    from frouros.utils.kernels import rbf_kernel

    x, y = x.astype(float), y.astype(float)
    callbacks = []
    if permutations:
        callbacks = [
            PermutationTestDistanceBased(
                num_permutations=permutations, num_jobs=1, method="conservative", random_state=1, name="test"
            )
        ]

    def run() -> float:
        if task.startswith("wasserstein"):
            detector = EMD(callbacks=callbacks)
            detector.fit(X=x[:, 0])
            return float(detector.compare(X=y[:, 0])[0].distance)
        detector = MMD(kernel=partial(rbf_kernel, sigma=np.sqrt(x.shape[1])), callbacks=callbacks)
        detector.fit(X=x)
        return float(detector.compare(X=y)[0].distance)

    return run


def hyppo(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Hyppo, which has permutations only: its statistic is another one."""
    from hyppo.ksample import MMD, Energy

    x, y = x.astype(float), y.astype(float)
    test = Energy(bias=True) if task == "energy" else MMD(bias=False, gamma=0.5 / x.shape[1])
    return lambda: float(test.test(x, y, reps=permutations, workers=1, auto=False, random_state=1)[1])


def pot(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """POT, NumPy backend."""
    import ot

    if task == "wasserstein 1-D statistic":
        u, v = x[:, 0].astype(float), y[:, 0].astype(float)
        return lambda: float(ot.emd2_1d(u, v, metric="euclidean"))
    return lambda: float(ot.sliced_wasserstein_distance(x, y, n_projections=DIRECTIONS, p=1, seed=0))


def scipy(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """SciPy."""
    from scipy import stats

    u, v = x[:, 0].astype(float), y[:, 0].astype(float)
    distance = stats.wasserstein_distance if task.startswith("wasserstein") else stats.energy_distance
    if not permutations:
        return lambda: float(distance(u, v))
    return lambda: float(
        stats.permutation_test((u, v), distance, n_resamples=permutations, alternative="greater").pvalue
    )


def sklearn(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """Return scikit-learn's permutation test of a ridge classifier in five folds."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import permutation_test_score

    rows, side = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    model = RidgeClassifier(alpha=0.01 * float((rows**2).sum()))
    return lambda: float(
        permutation_test_score(model, rows, side, cv=5, n_permutations=permutations, random_state=0)[2]
    )


def geomloss(task: str, x: np.ndarray, y: np.ndarray, permutations: int) -> Callable[[], float]:
    """GeomLoss without KeOps."""
    import torch
    from geomloss import SamplesLoss

    kind = {"mmd statistic": "gaussian", "energy statistic": "energy"}[task]
    loss = SamplesLoss(kind, blur=float(np.sqrt(x.shape[1])), backend="tensorized")
    u, v = torch.from_numpy(x), torch.from_numpy(y)

    def run() -> float:
        with torch.no_grad():
            return float(loss(u, v))

    return run


IMPLEMENTATIONS = {
    "ours": ours,
    "machine's limit": limit,
    "Alibi Detect": alibi,
    "TorchDrift": torchdrift,
    "Frouros": frouros,
    "hyppo": hyppo,
    "POT": pot,
    "SciPy": scipy,
    "scikit-learn": sklearn,
    "GeomLoss": geomloss,
}
PACKAGES = {"Alibi Detect": "alibi-detect", "ours": "numpy", "machine's limit": "numpy"}


def memory(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (peak); 0 where the system does not say."""
    if not STATUS.exists():
        return 0
    return (
        int(next(line for line in STATUS.read_text().splitlines() if line.startswith(field)).split()[1])
        * 1024
    )


def cpu_seconds() -> float:
    """CPU time of this process and its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(run: Callable[[], float]) -> dict[str, float]:
    """Run once and return wall seconds, CPU seconds and the peak of memory, in bytes, above the start."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")
    before, wall, cpu = memory("VmRSS"), time.perf_counter(), cpu_seconds()
    value = run()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    return {
        "wall": wall,
        "cpu": cpu,
        "peak": memory("VmHWM") - before,
        "all": memory("VmHWM"),
        "value": value,
    }


def answer(job: dict) -> dict:
    """Do a job, after a small one that loads and compiles what there is to load and compile."""
    name, task = job["implementation"], job["task"]
    make = IMPLEMENTATIONS[name]

    def run() -> dict:
        for n, m, permutations in (
            (40, 40, min(2, job["permutations"])),
            (job["n"], job["m"], job["permutations"]),
        ):
            result = measure(make(task, *windows(n, m, job["d"]), permutations))
        return result

    return attempt(run, PACKAGES.get(name, name))


if __name__ == "__main__":
    serve(answer)
