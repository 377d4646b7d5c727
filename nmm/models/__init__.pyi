"""Neural mass models: local dynamics of a region."""

from ._adaptive_qif_dopamine import AdaptiveQIFDopamine as AdaptiveQIFDopamine
from ._aln import ALN as ALN
from ._base import (
    AbstractDynamics as AbstractDynamics,
    AbstractModel as AbstractModel,
    Inputs as Inputs,
    State as State,
    observable as observable,
)
from ._canonical_microcircuit import CanonicalMicrocircuit as CanonicalMicrocircuit
from ._catalogue import list_models as list_models
from ._coombes_byrne import (
    CoombesByrne as CoombesByrne,
    CoombesByrne4D as CoombesByrne4D,
)
from ._dcm import BilinearDCM as BilinearDCM
from ._dumont_gutkin import DumontGutkin as DumontGutkin
from ._epileptor import (
    Epileptor as Epileptor,
    EpileptorRestingState as EpileptorRestingState,
)
from ._epileptor_2d import (
    BVEP as BVEP,
    Epileptor2D as Epileptor2D,
)
from ._epileptor_codim3 import (
    EpileptorCodim3 as EpileptorCodim3,
    EpileptorCodim3SlowMod as EpileptorCodim3SlowMod,
)
from ._fitzhugh_nagumo import FitzHughNagumo as FitzHughNagumo
from ._gast_schmidt_knosche import (
    GastSchmidtKnosche_SD as GastSchmidtKnosche_SD,
    GastSchmidtKnosche_SF as GastSchmidtKnosche_SF,
)
from ._generic_2d_oscillator import Generic2dOscillator as Generic2dOscillator
from ._hopf import Hopf as Hopf
from ._hopfield import (
    Hopfield as Hopfield,
    HopfieldDynamic as HopfieldDynamic,
)
from ._horn import HORN as HORN
from ._inhibition import (
    AbstractInhibition as AbstractInhibition,
    DivisiveGain as DivisiveGain,
    DivisiveInput as DivisiveInput,
    Subtractive as Subtractive,
)
from ._jansen_rit import JansenRit as JansenRit
from ._kionex import KIonEx as KIonEx
from ._kuramoto import Kuramoto as Kuramoto
from ._larter_breakspear import LarterBreakspear as LarterBreakspear
from ._liley_steyn_ross import LileySteynRoss as LileySteynRoss
from ._linear import Linear as Linear
from ._lorenz import Lorenz as Lorenz
from ._montbrio_pazo_roxin import MontbrioPazoRoxin as MontbrioPazoRoxin
from ._morris_lecar import MorrisLecar as MorrisLecar
from ._reduced_set import (
    ReducedSetFitzHughNagumo as ReducedSetFitzHughNagumo,
    ReducedSetHindmarshRose as ReducedSetHindmarshRose,
)
from ._reduced_wong_wang import ReducedWongWang as ReducedWongWang
from ._stuart_landau import StuartLandau as StuartLandau
from ._thalamus import Thalamus as Thalamus
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
    WilsonCowanSimplified as WilsonCowanSimplified,
    WilsonCowanSymmetric as WilsonCowanSymmetric,
    WilsonCowanThreePopulation as WilsonCowanThreePopulation,
)
from ._wong_wang import WongWang as WongWang
from ._wong_wang_exc_inh import (
    DecoBalancedExcInh as DecoBalancedExcInh,
    WongWangExcInh as WongWangExcInh,
)
from ._zerlaut import (
    ZerlautAdaptationFirstOrder as ZerlautAdaptationFirstOrder,
    ZerlautAdaptationSecondOrder as ZerlautAdaptationSecondOrder,
)
from ._zetterberg_jansen import ZetterbergJansen as ZetterbergJansen
