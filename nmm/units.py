"""Factors into the units of this package: ms, mV, mm, nA and 1/ms.

`220 * nmm.units.Hz` is 0.22 per ms; `tau / nmm.units.s` tells a time constant in seconds.
"""

ms = 1.0
s = 1000.0
minute = 60_000.0
Hz = 1e-3
kHz = 1.0
mm = 1.0
cm = 10.0
m = 1000.0
m_per_s = 1.0
mV = 1.0
nA = 1.0
