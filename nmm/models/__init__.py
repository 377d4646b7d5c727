"""Neural mass models: local dynamics of a region."""

from ._base import (
    AbstractDynamics as AbstractDynamics,
    AbstractModel as AbstractModel,
    Inputs as Inputs,
    State as State,
    observable as observable,
)
from ._hopf import Hopf as Hopf
from ._inhibition import (
    AbstractInhibition as AbstractInhibition,
    DivisiveGain as DivisiveGain,
    DivisiveInput as DivisiveInput,
    Subtractive as Subtractive,
)
from ._jansen_rit import JansenRit as JansenRit
from ._montbrio_pazo_roxin import MontbrioPazoRoxin as MontbrioPazoRoxin
from ._reduced_wong_wang import ReducedWongWang as ReducedWongWang
from ._transfer import (
    AbstractTransfer as AbstractTransfer,
    Rectified as Rectified,
    Sigmoid as Sigmoid,
)
from ._wilson_cowan import (
    WilsonCowan as WilsonCowan,
    WilsonCowanAdaptive as WilsonCowanAdaptive,
    WilsonCowanThreePopulation as WilsonCowanThreePopulation,
)
from ._wong_wang_exc_inh import WongWangExcInh as WongWangExcInh
