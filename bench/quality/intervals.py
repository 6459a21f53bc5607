"""Intervals for shares and rates, exact (Clopper-Pearson, Garwood) and by Wilson, 95 % unless told otherwise.

Nothing seen bounds a rate, it doesn't make it zero: of n trials without an event the upper bound is
1 - 0.05^(1/n), for which 3/n (the rule of three) stands well enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable

LEVEL = 0.95


def wilson(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share k/n; (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    z = _normal(0.5 + level / 2)
    p, z2 = k / n, z * z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return 0.0 if k == 0 else low, 1.0 if k == n else high


def exact(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share k/n; one-sided when k is 0 or n; (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    if k == 0:
        return 0.0, 1 - (1 - level) ** (1 / n)
    if k == n:
        return (1 - level) ** (1 / n), 1.0
    tail = (1 - level) / 2
    low = _solve(lambda p: 1 - _binomial(k - 1, n, p), tail, 0.0, 1.0)
    high = _solve(lambda p: -_binomial(k, n, p), -tail, 0.0, 1.0)
    return low, high


def rate(k: int, exposure: float, level: float = LEVEL) -> tuple[float, float]:
    """Garwood's interval of a rate of k events per unit of exposure; one-sided when k is 0."""
    if exposure <= 0:
        return 0.0, math.inf
    if k == 0:
        return 0.0, -math.log(1 - level) / exposure
    tail, most = (1 - level) / 2, 10.0 * k + 50
    low = _solve(lambda m: 1 - _poisson(k - 1, m), tail, 0.0, most)
    high = _solve(lambda m: -_poisson(k, m), -tail, 0.0, most)
    return low / exposure, high / exposure


def rule_of_three(n: int) -> float:
    """What zero events of n trials bound a rate at, roughly."""
    return 3 / n


def _binomial(k: int, n: int, p: float) -> float:
    """The chance of at most k of n."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return 1.0 if k >= n else 0.0
    logs = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(math.exp(x) for x in logs))


def _poisson(k: int, m: float) -> float:
    """The chance of at most k where m are expected."""
    if m <= 0:
        return 1.0
    return min(1.0, math.fsum(math.exp(i * math.log(m) - m - math.lgamma(i + 1)) for i in range(k + 1)))


def _solve(rising: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a rising function takes the value."""
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


def _normal(p: float) -> float:
    """The normal quantile."""
    return _solve(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))), p, -10.0, 10.0)
