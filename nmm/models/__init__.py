"""Neural mass models: local dynamics of a region."""

from ._base import (
    AbstractDynamics as AbstractDynamics,
    AbstractModel as AbstractModel,
    Inputs as Inputs,
    State as State,
    observable as observable,
)
from ._catalogue import list_models as list_models
from ._coombes_byrne import CoombesByrne as CoombesByrne
from ._epileptor import Epileptor as Epileptor
from ._fitzhugh_nagumo import FitzHughNagumo as FitzHughNagumo
from ._generic_2d_oscillator import Generic2dOscillator as Generic2dOscillator
from ._hopf import Hopf as Hopf
from ._horn import HORN as HORN
from ._inhibition import (
    AbstractInhibition as AbstractInhibition,
    DivisiveGain as DivisiveGain,
    DivisiveInput as DivisiveInput,
    Subtractive as Subtractive,
)
from ._jansen_rit import JansenRit as JansenRit
from ._kuramoto import Kuramoto as Kuramoto
from ._larter_breakspear import LarterBreakspear as LarterBreakspear
from ._linear import Linear as Linear
from ._lorenz import Lorenz as Lorenz
from ._montbrio_pazo_roxin import MontbrioPazoRoxin as MontbrioPazoRoxin
from ._reduced_wong_wang import ReducedWongWang as ReducedWongWang
from ._stuart_landau import StuartLandau as StuartLandau
from ._threshold_linear import ThresholdLinear as ThresholdLinear
from ._transfer import (
    AbstractTransfer as AbstractTransfer,
    Rectified as Rectified,
    Sigmoid as Sigmoid,
)
from ._van_der_pol import VanDerPol as VanDerPol
from ._wilson_cowan import (
    WilsonCowan as WilsonCowan,
    WilsonCowanAdaptive as WilsonCowanAdaptive,
    WilsonCowanThreePopulation as WilsonCowanThreePopulation,
)
from ._wong_wang import WongWang as WongWang
from ._wong_wang_exc_inh import WongWangExcInh as WongWangExcInh
