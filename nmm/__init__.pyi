"""Differentiable neural mass models."""

from . import (
    analysis as analysis,
    coupling as coupling,
    datasets as datasets,
    models as models,
    noise as noise,
    observe as observe,
    plot as plot,
    stimulus as stimulus,
    units as units,
)
from ._balance import (
    Balance as Balance,
    balance as balance,
    critical_coupling as critical_coupling,
)
from ._check import Check as Check, check as check
from ._connectome import AbstractConnectome as AbstractConnectome, Connectome as Connectome
from ._custom_types import Parameter as Parameter, Value as Value
from ._declare import param as param, slot as slot, variable as variable
from ._describe import describe as describe
from ._horn_network import HORNLayer as HORNLayer, HORNNetwork as HORNNetwork
from ._jansen_rit_tr import JansenRitTR as JansenRitTR
from ._kernels import (
    Exponential as Exponential,
    Gaussian as Gaussian,
    MexicanHat as MexicanHat,
)
from ._maps import Map as Map
from ._mixed import mix as mix
from ._network import Network as Network
from ._sparse import ParcelConnectome as ParcelConnectome, SparseConnectome as SparseConnectome
from ._wilson_cowan_delayed import wilson_cowan_delayed as wilson_cowan_delayed
from .integrate import (
    RESULTS as RESULTS,
    DivergenceError as DivergenceError,
    Euler as Euler,
    ExponentialEuler as ExponentialEuler,
    Heun as Heun,
    ItoHeun as ItoHeun,
    RungeKutta4 as RungeKutta4,
    RunState as RunState,
    SemiImplicitEuler as SemiImplicitEuler,
    Solution as Solution,
    simulate as simulate,
    step as step,
)
from .models import (
    ALN as ALN,
    BVEP as BVEP,
    HORN as HORN,
    AbstractDynamics as AbstractDynamics,
    AbstractInhibition as AbstractInhibition,
    AbstractModel as AbstractModel,
    AbstractTransfer as AbstractTransfer,
    AdaptiveQIFDopamine as AdaptiveQIFDopamine,
    BilinearDCM as BilinearDCM,
    CanonicalMicrocircuit as CanonicalMicrocircuit,
    CoombesByrne as CoombesByrne,
    CoombesByrne4D as CoombesByrne4D,
    DecoBalancedExcInh as DecoBalancedExcInh,
    DivisiveGain as DivisiveGain,
    DivisiveInput as DivisiveInput,
    DumontGutkin as DumontGutkin,
    Epileptor as Epileptor,
    Epileptor2D as Epileptor2D,
    EpileptorCodim3 as EpileptorCodim3,
    EpileptorCodim3SlowMod as EpileptorCodim3SlowMod,
    EpileptorRestingState as EpileptorRestingState,
    FitzHughNagumo as FitzHughNagumo,
    GastSchmidtKnosche_SD as GastSchmidtKnosche_SD,
    GastSchmidtKnosche_SF as GastSchmidtKnosche_SF,
    Generic2dOscillator as Generic2dOscillator,
    Hopf as Hopf,
    Hopfield as Hopfield,
    HopfieldDynamic as HopfieldDynamic,
    Inputs as Inputs,
    JansenRit as JansenRit,
    KIonEx as KIonEx,
    Kuramoto as Kuramoto,
    LarterBreakspear as LarterBreakspear,
    LileySteynRoss as LileySteynRoss,
    Linear as Linear,
    Lorenz as Lorenz,
    MontbrioPazoRoxin as MontbrioPazoRoxin,
    MorrisLecar as MorrisLecar,
    Rectified as Rectified,
    ReducedSetFitzHughNagumo as ReducedSetFitzHughNagumo,
    ReducedSetHindmarshRose as ReducedSetHindmarshRose,
    ReducedWongWang as ReducedWongWang,
    Sigmoid as Sigmoid,
    State as State,
    StuartLandau as StuartLandau,
    Subtractive as Subtractive,
    Thalamus as Thalamus,
    ThresholdLinear as ThresholdLinear,
    VanDerPol as VanDerPol,
    WilsonCowan as WilsonCowan,
    WilsonCowanAdaptive as WilsonCowanAdaptive,
    WilsonCowanSimplified as WilsonCowanSimplified,
    WilsonCowanSymmetric as WilsonCowanSymmetric,
    WilsonCowanThreePopulation as WilsonCowanThreePopulation,
    WongWang as WongWang,
    WongWangExcInh as WongWangExcInh,
    ZerlautAdaptationFirstOrder as ZerlautAdaptationFirstOrder,
    ZerlautAdaptationSecondOrder as ZerlautAdaptationSecondOrder,
    ZetterbergJansen as ZetterbergJansen,
    list_models as list_models,
    observable as observable,
)
