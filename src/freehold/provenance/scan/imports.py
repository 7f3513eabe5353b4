"""Which imports of a pickle are harmless, which can do harm, and which are unknown.

An allow-list decides: only names on it are passed over. The rest is told by name, and the second question is just how bad it
is. Weights need nothing of the standard library but the few containers and values below, so what else is imported of it is
harm; of other packages, what is known to load, fetch, compile or call is. Everything else is unknown, which is suspicious.

The names for PyTorch are those its own `weights_only` loader takes (torch/serialization and torch/_weights_only_unpickler).
"""

import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from enum import Enum

_TORCH_DTYPES = (
    "bfloat16 bits16 bits1x8 bits2x4 bits4x2 bits8 bool cdouble cfloat chalf complex128 complex32 complex64 double float"
    " float16 float32 float64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 half"
    " int int16 int32 int64 int8 long qint32 qint8 quint2x4 quint4x2 quint8 short uint16 uint32 uint64 uint8"
    " per_tensor_affine per_channel_affine per_channel_affine_float_qparams strided sparse_coo sparse_csr sparse_csc"
    " sparse_bsr sparse_bsc contiguous_format channels_last"
)
_TORCH_STORAGES = (
    "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage DoubleStorage"
    " FloatStorage HalfStorage IntStorage LongStorage QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage"
    " QUInt8Storage ShortStorage"
)
_TORCH_TENSORS = (
    "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor"
)
_NUMPY_SCALARS = (
    "bool_ bool byte bytes_ cdouble cfloat clongdouble complex128 complex64 csingle datetime64 double float16 float32"
    " float64 half int16 int32 int64 int8 int_ intc intp long longdouble longlong object_ short single str_ timedelta64"
    " ubyte uint uint16 uint32 uint64 uint8 uintc uintp ulong ulonglong ushort void"
)
_NUMPY_DTYPES = (
    "BoolDType ByteDType BytesDType CLongDoubleDType Complex128DType Complex64DType DateTime64DType Float16DType"
    " Float32DType Float64DType Int16DType Int32DType Int64DType Int8DType IntDType LongDType LongDoubleDType LongLongDType"
    " ObjectDType ShortDType StrDType TimeDelta64DType UByteDType UInt16DType UInt32DType UInt64DType UInt8DType UIntDType"
    " ULongDType ULongLongDType UShortDType VoidDType"
)

ALLOWED: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
        "collections": "Counter OrderedDict defaultdict deque",
        "copyreg": "_reconstructor __newobj__",
        "_codecs": "encode",  # how protocols below 3 write bytes; its codec is looked at
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "uuid": "UUID",
        "argparse": "Namespace",
        "types": "SimpleNamespace",
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "torch": f"{_TORCH_DTYPES} {_TORCH_STORAGES} {_TORCH_TENSORS} Size Tensor device dtype",
        "torch.storage": f"TypedStorage UntypedStorage _LegacyStorage {_TORCH_STORAGES}",
        "torch.serialization": "_get_layout",
        "torch.cuda": f"{_TORCH_STORAGES} {_TORCH_TENSORS}",
        "torch.nn.parameter": "Buffer Parameter UninitializedBuffer UninitializedParameter",
        "torch._tensor": "_rebuild_from_type_v2",
        "torch._utils": (
            "_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage"
            " _rebuild_nested_tensor _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor"
            " _rebuild_sparse_csr_tensor _rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3"
            " _rebuild_wrapper_subclass"
        ),
        "numpy": f"{_NUMPY_SCALARS} dtype ndarray",
        "numpy.dtypes": _NUMPY_DTYPES,
        "numpy.ma.core": "MaskedArray _mareconstruct",
        **{f"numpy.{core}.multiarray": "_reconstruct scalar" for core in ("core", "_core")},
        **{f"numpy.{core}.numeric": "_frombuffer" for core in ("core", "_core")},
        "joblib.numpy_pickle": "NumpyArrayWrapper",
    }.items()
}

# Of other packages: what loads, fetches, compiles or calls. A name with "." at its end stands for all below it.
_HARM_WORDS = (
    "torch.load torch.hub. torch.jit. torch.package. torch.utils.cpp_extension. torch.utils.model_zoo."
    " torch.serialization.load torch.utils.collect_env. torch.utils.bottleneck. torch.utils.data.datapipes."
    " torch.distributed. torch.multiprocessing. torch.ops. torch.classes. torch.compile torch._dynamo. torch._inductor."
    " torch.fx. torch._functorch. torch.testing. torch.export. torch.onnx. numpy.load numpy.loadtxt numpy.genfromtxt"
    " numpy.fromfile numpy.fromregex numpy.save numpy.savez numpy.savetxt numpy.memmap numpy.tofile numpy.f2py."
    " numpy.testing. numpy.distutils. numpy.ctypeslib. numpy.lib. numpy.vectorize numpy.apply_along_axis numpy.piecewise"
    " numpy.fromfunction numpy.compat. numpy.show_config numpy.DataSource joblib.load joblib.dump joblib.Memory"
    " joblib.numpy_pickle.load joblib.externals. cloudpickle. dill. pip. pip._internal. setuptools. pkg_resources."
    " distutils. _distutils_hack. wheel. pytest. _pytest. py. IPython. jupyter_client. notebook. ipykernel. requests."
    " urllib3. httpx. aiohttp. botocore. boto3. paramiko. fabric. invoke. sh. plumbum. pexpect. psutil. cffi. cython."
    " Cython. numba. llvmlite. jinja2. mako. yaml. ruamel. pandas.read_ pandas.eval pandas.io. pandas.core.computation."
    " sklearn.utils._testing. scipy.io. keras.models.load keras.utils. tensorflow. keras.src.utils."
    " transformers.dynamic_module_utils. huggingface_hub. fsspec. gradio. flask. django. werkzeug. click. uvicorn. twisted."
    " celery. asyncssh. websockets. freehold. sympy. nltk. lib2to3. onnxruntime. mlflow. wandb. ray. dask."
)
_HARM = _HARM_WORDS.split()
_HARM_NAMES = frozenset(name for name in _HARM if not name.endswith((".", "_")))
_HARM_PREFIXES = tuple(name for name in _HARM if name.endswith((".", "_")))
_PYTHON_2_WORDS = "commands popen2 imp asyncore smtpd nt posix pipes distutils asynchat"
_PYTHON_2 = frozenset(IMPORT_MAPPING) | frozenset(_PYTHON_2_WORDS.split())


class Judgement(Enum):
    HARMLESS = "harmless"
    UNKNOWN = "unknown"
    HARM = "harm"


def judge(module: str, name: str, protocol: int) -> Judgement:
    """As the loader would resolve it: names of Python 2 are mapped below protocol 3, a dotted name walks attributes from 4 on.

    Both readings count, the mapped and the plain one: a stream may claim any protocol.
    """
    mapped = NAME_MAPPING.get((module, name)) or (IMPORT_MAPPING.get(module, module), name)
    if mapped == (module, name):
        return _judge(module, name)
    plain = _judge(module, name) if protocol >= 3 and module in sys.stdlib_module_names else Judgement.HARMLESS
    return max(_judge(*mapped), plain, key=list(Judgement).index)


def _judge(module: str, name: str) -> Judgement:
    if name in ALLOWED.get(module, ()):
        return Judgement.HARMLESS
    top, whole = module.partition(".")[0], f"{module}.{name}"
    if top in sys.stdlib_module_names or module in _PYTHON_2 or top == "__builtin__":
        return Judgement.HARM
    if top == "__torch__":
        return Judgement.UNKNOWN  # a class of a TorchScript program's own, which TorchScript alone resolves
    if any(part.startswith("__") and part != "__main__" for part in whole.split(".")):
        return Judgement.HARM  # no class of one's own is called so: these are Python's insides
    if "." in name:
        return Judgement.HARM  # an attribute of an attribute: from a harmless module into the modules that it imports
    if whole in _HARM_NAMES or whole.startswith(_HARM_PREFIXES):
        return Judgement.HARM
    return Judgement.UNKNOWN
