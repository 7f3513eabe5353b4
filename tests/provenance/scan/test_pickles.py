import collections
import datetime
import io
import pickle
import pickletools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.provenance.scan.findings import Verdict
from tests.provenance.scan.looks import look, rules, verdict

CALL = b"(S'true'\ntR."  # on what lies on the stack


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


class Calls:
    """Pickles as a call of a function, by its name."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return self.function, ("true",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [eval, exec, compile, __import__, getattr, open, print])
def test_a_builtin_that_does_harm_is_found_in_every_protocol(protocol: int, function: Any) -> None:
    report = look(pickle.dumps({"weights": [1.0], "x": Calls(function)}, protocol))
    assert report.verdict is Verdict.MALICIOUS
    assert any(f".{function.__name__}'" in finding.words for finding in report.findings)


SHAPES = {
    "GLOBAL and REDUCE": b"cos\nsystem\n" + CALL,
    "Python 2's names": b"c__builtin__\neval\n" + CALL,
    "Python 2's own modules": b"ccommands\ngetoutput\n" + CALL,
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(S'true'\nt\x81.",
    "NEWOBJ_EX": b"\x80\x04" + stack_global("subprocess", "Popen") + b")}\x92.",
    "BUILD": b"\x80\x02cos\nsystem\n}b.",
    "import alone": b"\x80\x04" + stack_global("os", "system") + b".",
    "STACK_GLOBAL from the memo": b"\x80\x04" + text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93" + CALL,
    "STACK_GLOBAL by PUT and GET": b"\x80\x04"
    + text("os")
    + b"p7\n0"
    + text("system")
    + b"r\x00\x01\x00\x000"
    + b"g7\nj\x00\x01\x00\x00\x93.",
    "STACK_GLOBAL by DUP": b"\x80\x04" + text("pty") + b"2\x93.",
    "STACK_GLOBAL of old strings": b"\x80\x04S'o\\x73'\nU\x06system\x93" + CALL,
    "STACK_GLOBAL of escapes": b"\x80\x04Vo\\u0073\nVsystem\n\x93" + CALL,
    "attributes of attributes": b"\x80\x04" + stack_global("torch", "serialization.os.system") + CALL,
    "a hidden function in a harmless module": b"\x80\x04" + stack_global("collections", "_sys.modules") + b".",
    "insides of a harmless class": b"\x80\x04" + stack_global("torch", "__builtins__") + b".",
    "functools.partial": b"\x80\x04" + stack_global("functools", "partial") + b"(" + text("x") + b"tR.",
    "operator.attrgetter": b"coperator\nattrgetter\n" + CALL,
    "pip": b"cpip\nmain\n" + CALL,
    "pip's insides": b"cpip._internal\nmain\n" + CALL,
    "torch.hub": b"ctorch.hub\nload\n" + CALL,
    "torch.load": b"ctorch\nload\n" + CALL,
    "torch.jit": b"ctorch.jit\nload\n" + CALL,
    "numpy.load": b"cnumpy\nload\n" + CALL,
    "numpy.f2py": b"cnumpy.f2py.crackfortran\ngetlincoef\n" + CALL,
    "numpy.testing": b"cnumpy.testing._private.utils\nrunstring\n" + CALL,
    "joblib.load": b"cjoblib\nload\n" + CALL,
    "the profiler": b"cprofile\nrun\n" + CALL,
    "a debugger": b"cpdb\nrun\n" + CALL,
    "importlib": b"cimportlib\nimport_module\n" + CALL,
    "asyncio's insides": b"casyncio.unix_events\n_UnixSubprocessTransport._start\n" + CALL,
    "sockets": b"csocket\nsocket\n" + CALL,
    "linecache reads files": b"clinecache\ngetlines\n" + CALL,
    "logging writes files": b"clogging\nFileHandler\n" + CALL,
    "cut off after the call": b"cos\nsystem\n(S'true'\ntR",
    "broken after the call": b"cos\nsystem\n(S'true'\ntR\xff\xff\xff",
    "a second pickle": pickle.dumps([1]) + b"cos\nsystem\n" + CALL,
    "in bytes": pickle.dumps(b"\x80\x04" + stack_global("os", "system") + b"."),
    "in long bytes": pickle.dumps(b"\x80\x04" + text("x" * 200) * 10 + stack_global("os", "system") + b"."),
    "in bytes of bytes": pickle.dumps(pickle.dumps(b"cos\nsystem\n" + CALL)),
    "changes a class": b"\x80\x02ctorch\nTensor\nN}U\x01xK\x01s\x86b.",
    "an odd codec": b"\x80\x02c_codecs\nencode\n(U\x01xU\x06quopri\x74R.",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_code_is_found_in_every_shape(shape: str) -> None:
    assert verdict(SHAPES[shape]) is Verdict.MALICIOUS


@pytest.mark.parametrize(
    "name", ["model.bin", "config.json", "weights.txt", "README", "a.safetensors", "pytorch_model.dat", "x.npy"]
)
@pytest.mark.parametrize("shape", ["GLOBAL and REDUCE", "import alone", "OBJ"])
def test_a_name_hides_nothing(name: str, shape: str) -> None:
    assert verdict(SHAPES[shape], name) is Verdict.MALICIOUS


HIDDEN = {
    "a name out of a call": b"\x80\x04" + text("os") + b"\x8c\x01xcbuiltins\nstr\n(\x8c\x06systemtR\x93.",
    "a register of the loader's": b"\x80\x02\x82\x07)R.",
    "a call of what was computed": b"\x80\x02cbuiltins\nlist\n)R)R.",
    "a module by number": b"\x80\x04K\x01K\x02\x93.",
}


@pytest.mark.parametrize("shape", HIDDEN)
def test_an_import_whose_name_is_not_there_is_malicious(shape: str) -> None:
    assert "pickle-hidden-import" in rules(HIDDEN[shape])
    assert verdict(HIDDEN[shape]) is Verdict.MALICIOUS


def test_an_unknown_import_is_told_by_name_and_place() -> None:
    (finding,) = look(b"\x80\x02cmylib.layers\nBlock\n)\x81.").findings
    assert (finding.rule, finding.offset) == ("pickle-import", 2)
    assert "mylib.layers.Block" in finding.words


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x09.",
        b"\x80\x04N",
        b".",
        b"\x80\x04h\x05.",
        b"\x80\x04X\xff\xff\xff\x7fab.",
        b"\x80\x02R.",
    ],
)
def test_what_is_no_pickle_to_its_end_is_unparsed(data: bytes) -> None:
    assert verdict(data) is Verdict.UNPARSED


@pytest.mark.parametrize("protocol", range(6))
def test_values_longer_than_a_frame_are_clean(protocol: int) -> None:
    values = [b"x" * 200_000, "y" * 70_000, ["z" * 65_536, b"z" * 65_535], {i: f"k{i}" for i in range(9000)}, np.ones((200, 50))]
    for value in values:
        out = io.BytesIO()
        pickle._Pickler(out, protocol).dump(value)
        assert look(pickle.dumps(value, protocol)).findings == look(out.getvalue()).findings == ()


@pytest.mark.parametrize("cut", [1, 5, 11, 20, 24])
def test_an_opcode_across_the_end_of_its_frame_is_a_hidden_import(cut: int) -> None:
    body = b"ccollections\nOrderedDict\n)R"
    torn = b"\x80\x04\x95" + struct.pack("<Q", cut) + body + b"."
    assert verdict(torn) is (Verdict.MALICIOUS if cut < len(b"ccollections\nOrderedDict\n") else Verdict.CLEAN)
    nested = b"\x80\x04\x95" + struct.pack("<Q", 20) + b"\x95" + struct.pack("<Q", 40) + body + b"."
    assert "pickle-hidden-import" in rules(nested)


def test_what_follows_a_pickle_is_told() -> None:
    assert rules(pickle.dumps([1, 2]) + b"\0" * 40) == {"trailing-data"}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_clean(protocol: int) -> None:
    values = {
        "a": [1, -(2**70), 1.5, None, True, "text", b"bytes", ("x",) * 100, {"k": {1, 2}}, frozenset([3])],
        "o": collections.OrderedDict(a=1),
        "t": datetime.datetime(2026, 1, 1),
        "n": np.arange(12.0).reshape(3, 4),
        "s": np.float32(2),
        "j": np.array([1, "a"], dtype=object),
        "big": "x" * 70_000,
    }
    assert verdict(pickle.dumps(values, protocol)) is Verdict.CLEAN
    assert look(pickle.dumps(values, protocol), "weights").format == "pickle"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(plain, st.integers(0, 5))
def test_any_plain_value_is_walked_to_its_end(value: object, protocol: int) -> None:
    assert "unparsed" not in rules(pickle.dumps(value, protocol))


@given(plain, st.integers(0, 5), st.sampled_from(["os.system", "posix.popen", "shutil.rmtree", "runpy.run_path"]), st.data())
def test_an_import_among_plain_values_is_found(value: object, protocol: int, name: str, data: st.DataObject) -> None:
    whole = pickle.dumps([value], protocol)
    module, _, function = name.partition(".")
    starts = [position or 0 for _, _, position in pickletools.genops(whole)]
    at = data.draw(st.sampled_from([p for p in starts if p >= (2 if protocol > 1 else 0)]))  # anywhere between two opcodes
    assert verdict(whole[:at] + f"c{module}\n{function}\n0".encode() + whole[at:]) is Verdict.MALICIOUS


@given(st.binary(max_size=300))
def test_any_bytes_end_as_pickletools_ends_them(data: bytes) -> None:
    """What passes is a whole stream to the standard library's disassembler, too, and it sees no import in it either."""
    report = look(data, "m.pkl")
    if report.verdict is Verdict.CLEAN:
        opcodes = list(pickletools.genops(data))
        assert opcodes[-1][0].name == "STOP"
        assert not any(op.name in ("GLOBAL", "STACK_GLOBAL", "INST", "REDUCE", "OBJ", "EXT1") for op, _, _ in opcodes)


def joblib_array(array: np.ndarray[Any, Any], padding: int | None = None) -> bytes:
    """As joblib writes one: the wrapper by protocol 4 without its STOP, then padding, then the values."""
    out = io.BytesIO()
    out.write(b"\x80\x04" + stack_global("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81")
    kind = pickle.dumps(array.dtype, 4)[2:-1]
    kind = kind[9:] if kind[:1] == b"\x95" else kind  # without its frame
    shape = pickle.dumps(array.shape, 4)[2:-1]
    shape = shape[9:] if shape[:1] == b"\x95" else shape
    state = (
        text("dtype")
        + kind
        + text("shape")
        + shape
        + text("numpy_array_alignment_bytes")
        + (b"N" if padding is None else b"K\x10")
    )
    out.write(b"}(" + state + b"ub")
    if padding is not None:
        out.write(bytes([padding]) + b"\xff" * padding)
    out.write(array.tobytes())
    return out.getvalue()


@pytest.mark.parametrize("padding", [None, 0, 9])
def test_values_between_joblibs_opcodes_are_stepped_over(padding: int | None) -> None:
    array = np.frombuffer(b"cos\nsystem\n" * 16, dtype=np.uint8)
    assert rules(joblib_array(array, padding) + b".", "m.joblib") == set()
    assert "pickle-code" in rules(joblib_array(array, padding) + b"0cos\nsystem\n.", "m.joblib")


def test_values_that_follow_a_whole_frame_are_stepped_over() -> None:
    """As joblib writes them: the frame ends with the wrapper's BUILD, and a new one may follow the values."""
    array = np.frombuffer(b"cos\nsystem\n" * 16, dtype=np.uint8)
    data = joblib_array(array, 9)
    before = data[2 : -len(array) - 10]
    framed = data[:2] + b"\x95" + struct.pack("<Q", len(before)) + data[2:]
    assert rules(framed + b".", "m.joblib") == set()
    assert rules(framed + b"\x95" + struct.pack("<Q", 2) + b"0N.", "m.joblib") == set()


@pytest.mark.parametrize("start", [b"N0", b"}0", b"K\x010", b"(t0", b"\x880", b"I5\n0"])
def test_a_pickle_in_bytes_is_found_however_it_begins(start: bytes) -> None:
    held = start + b"cos\nsystem\n(Vtrue\ntR."
    assert rules(pickle.dumps({"a": held}, 4)) == {"pickle-code"}
    assert rules(pickle.dumps({"a": start + b"cwords\nthat follow\n. More.", "b": "I am. No."}, 4)) == set()


def test_joblibs_files_may_be_packed() -> None:
    data = joblib_array(np.ones((3, 5), dtype=np.float32)) + b"."
    assert verdict(zlib.compress(data), "m.joblib") is Verdict.CLEAN
    assert verdict(zlib.compress(SHAPES["OBJ"]), "m.joblib") is Verdict.MALICIOUS
    assert verdict(zlib.compress(data)[:-9], "m.joblib") is Verdict.UNPARSED


def test_values_are_not_stepped_over_where_joblib_would_read_them_elsewhere() -> None:
    data = joblib_array(np.ones(4, dtype=np.uint8))
    framed = data[:2] + b"\x95" + struct.pack("<Q", len(data)) + data[2:] + b"."
    assert verdict(framed, "m.joblib") is Verdict.UNPARSED
    wrapper = stack_global("joblib.numpy_pickle", "NumpyArrayWrapper")
    for maker in (
        b"ccopyreg\n_reconstructor\n(" + wrapper + b"cbuiltins\nobject\nNtR.",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(" + wrapper + b"NNNtR.",
    ):
        assert "pickle-hidden-import" in rules(b"\x80\x04" + maker, "m.joblib")


def test_records_are_stepped_over() -> None:
    assert verdict(joblib_array(np.zeros(3, dtype=[("a", "f4"), ("b", "i8")])) + b".", "m.joblib") is Verdict.CLEAN


PLAIN_STATE = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"  # no subarray, no fields, the type's own size, flags 0


def test_an_array_whose_flags_say_objects_is_walked_as_joblib_would() -> None:
    """The type says numbers, its flags say objects: joblib loads a pickle where values should lie."""
    data = joblib_array(np.frombuffer(b"cos\nsystem\n." * 4, dtype="<f4"))
    assert PLAIN_STATE in data
    assert "pickle-code" in rules(data.replace(PLAIN_STATE, PLAIN_STATE[:-2] + b"\x01t") + b".", "m.joblib")


def test_an_array_of_a_doubtful_size_is_not_stepped_over() -> None:
    data = joblib_array(np.zeros(3, dtype="U5"))
    assert verdict(data + b".", "m.joblib") is Verdict.CLEAN
    assert b"NNNK\x14" in data
    assert verdict(data.replace(b"NNNK\x14", b"NNNK\x18") + b".", "m.joblib") is Verdict.UNPARSED


def old_torch(pickled: bytes) -> bytes:
    """The format of before 1.6: five pickles, then storages."""
    head = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2)]
    return b"".join(head) + pickled + pickle.dumps(["0"], 2) + struct.pack("<q", 3) + b"\x00\x01\x02" * 4


def test_pytorchs_old_format_is_clean_and_its_tensors_are_not_read_as_pickles() -> None:
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x03tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    assert look(old_torch(b"\x80\x02" + tensor + b"."), "m.pt").findings == ()
    assert verdict(old_torch(SHAPES["GLOBAL and REDUCE"]), "m.pt") is Verdict.MALICIOUS


def test_depth_has_a_limit() -> None:
    data = b"N."
    for _ in range(8):
        data = b"\x80\x04" + b"B" + struct.pack("<i", len(data)) + data + b"."
    assert "limit" in rules(data)


@pytest.mark.parametrize("data", [b"\x80\x02Nr\xff\xff\xff\x7f.", b"Np99999999999\n."])
def test_a_memo_that_is_made_to_be_huge_is_not_clean(data: bytes) -> None:
    assert "unparsed" in rules(data)
