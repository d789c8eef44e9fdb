"""Vectors of sixteen numbers in numba, for kernels whose loops the compiler leaves one by one.

LLVM puts a loop into vector registers where it can prove that what is written is not what is read.
Of a kernel with several matrices it mostly cannot, and then the loop runs an element at a time.
Here the vector is said: `load`, arithmetic, `store`, the transposition of a square (`turn`), table
entries by a vector of indices (`take`). Where a processor has shorter registers, or no such
instruction, LLVM writes the same with what there is. Vectors are of float32, or of int32 for places
in a table and for pairs of short whole numbers (`add_products`).

Nothing here checks an index. Matrices are contiguous along their last axis; `vector_zeros` makes
them begin where a cache line does, so that no vector of whole ones lies across two.

numba knows a cached kernel by its own file alone: `make clean` after a change here.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray

LANES = 16
"""Numbers of a vector."""

_WORD, _ADDRESS = ir.IntType(32), ir.IntType(64)
_REALS, _WORDS, _ADDRESSES, _TRUTHS = (
    ir.VectorType(kind, LANES) for kind in (ir.FloatType(), _WORD, _ADDRESS, ir.IntType(1))
)
_LINE_BYTES = 64
# A product and a sum may be rounded once.
_CONTRACT = ("contract",)


class _Vector(types.Type):
    """Type of a vector within a kernel."""

    def __init__(self, of: str, llvm: Any) -> None:
        super().__init__(name=f"{of}x{LANES}")
        self.llvm = llvm


_VECTOR, _WHOLE = _Vector("float32", _REALS), _Vector("int32", _WORDS)


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.llvm)  # type: ignore[no-untyped-call]


def padded(count: int) -> int:
    """Next multiple of `LANES`."""
    return -(-count // LANES) * LANES


def vector_zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Zeros of ``shape`` in single precision whose first one begins a cache line."""
    count = math.prod(shape)
    raw = np.zeros(count + _LINE_BYTES // 4, dtype=np.float32)
    start = -raw.ctypes.data % _LINE_BYTES // 4
    return raw[start : start + count].reshape(shape)


def _place(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """Pointer to the vector that begins at (row, column)."""
    matrix = context.make_array(kind)(context, builder, array)
    number = matrix.data.type.pointee
    along = builder.mul(row, builder.extract_value(matrix.strides, 0))
    offset = builder.add(along, builder.mul(column, _ADDRESS(context.get_abi_sizeof(number))))
    start = builder.ptrtoint(matrix.data, _ADDRESS)
    vector = ir.VectorType(number, LANES)
    return builder.inttoptr(builder.add(start, offset), vector.as_pointer())


def _refuse_read_only(matrix: Any) -> None:
    """Raise what numba's own assignments do."""
    if not matrix.mutable:
        raise NumbaTypeError("a vector cannot be stored in a read-only array")


def _spread(builder: Any, number: Any) -> Any:
    """The same number in all lanes."""
    one = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    one = builder.insert_element(one, number, _WORD(0))
    return builder.shuffle_vector(one, one, ir.Constant(_WORDS, [0] * LANES))


def _load(_typing: Any, matrix: Any, row: Any, column: Any) -> Any:
    """Vector of ``matrix[row, column : column + LANES]``."""
    del row, column

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], *args), align=4)

    kind = _WHOLE if isinstance(matrix.dtype, types.Integer) else _VECTOR
    return kind(matrix, types.intp, types.intp), generate


def _store(_typing: Any, matrix: Any, row: Any, column: Any, vector: Any) -> Any:
    """``matrix[row, column : column + LANES] = vector``, of whole numbers in what bits it has."""
    del row, column

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where, values = _place(context, builder, signature.args[0], *args[:3]), args[3]
        bits = signature.args[0].dtype.bitwidth
        if bits < 32:
            values = builder.trunc(values, where.type.pointee)
        builder.store(values, where, align=bits // 8)
        return context.get_dummy_value()

    _refuse_read_only(matrix)
    return types.void(matrix, types.intp, types.intp, vector), generate


def _store_some(_typing: Any, matrix: Any, row: Any, column: Any, vector: Any, count: Any) -> Any:
    """`store` of the first ``count`` numbers, the others' memory untouched."""
    del row, column, vector, count

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _place(context, builder, signature.args[0], *args[:3])
        lanes = ir.Constant(_ADDRESSES, list(range(LANES)))
        instruction = builder.module.declare_intrinsic(
            f"llvm.masked.store.v{LANES}f32.p0",
            fnty=ir.FunctionType(ir.VoidType(), [_REALS, where.type, _WORD, _TRUTHS]),
        )
        some = builder.icmp_signed("<", lanes, _spread(builder, args[4]))
        builder.call(instruction, [args[3], where, _WORD(4), some])
        return context.get_dummy_value()

    _refuse_read_only(matrix)
    return types.void(matrix, types.intp, types.intp, _VECTOR, types.intp), generate


def _splat(_typing: Any, number: Any) -> Any:
    """Vector of one number, sixteen times; of whole numbers if it is one."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    if isinstance(number, types.Integer):
        return _WHOLE(types.int32), generate
    return _VECTOR(types.float32), generate


def _lane_sum(_typing: Any, vector: Any) -> Any:
    """Sum of a vector's numbers."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        part, width = args[0], LANES
        while width > 1:
            width //= 2
            halves = (
                ir.Constant(ir.VectorType(_WORD, width), list(range(first, first + width)))
                for first in (0, width)
            )
            low, high = (builder.shuffle_vector(part, part, half) for half in halves)
            part = builder.fadd(low, high)
        return builder.extract_element(part, _WORD(0))

    return types.float32(vector), generate


def _arithmetic(operation: Any, name: str | None, whole: str | None = None) -> None:
    """Let ``operation`` of two vectors be an instruction of LLVM, of real or whole numbers."""

    def typed(_typing: Any, a: Any, b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            if a == _WHOLE:
                return getattr(builder, str(whole))(*args)
            return getattr(builder, str(name))(*args, flags=_CONTRACT)

        return a(a, b), generate

    instruction: Any = intrinsic(typed)

    # numba compares the two signatures, so neither may have types.
    @overload(operation, inline="always")
    def of_vectors(a, b):  # type: ignore[no-untyped-def]
        instructions = {_VECTOR: name, _WHOLE: whole}
        both = isinstance(a, _Vector) and a == b and instructions[a] is not None
        return (lambda a, b: instruction(a, b)) if both else None  # noqa: PLW0108


_arithmetic(operator.add, "fadd", "add")
_arithmetic(operator.sub, "fsub", "sub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")
_arithmetic(operator.xor, None, "xor")


def _count_from(_typing: Any, first: Any) -> Any:
    """Sixteen whole numbers from ``first`` on."""
    del first

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.add(_spread(builder, args[0]), ir.Constant(_WORDS, list(range(LANES))))

    return _WHOLE(types.int32), generate


def _long_products(_typing: Any, vector: Any, factor: Any) -> Any:
    """High and low words of the products of 64 bits, all taken without signs.

    Of every second number at a time, as processors multiply.
    """
    del factor

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        long = ir.VectorType(_ADDRESS, LANES // 2)
        low, word = ir.Constant(long, [2**32 - 1] * 8), ir.Constant(long, [32] * 8)
        numbers, factors = (builder.bitcast(x, long) for x in (args[0], _spread(builder, args[1])))
        factors = builder.and_(factors, low)
        pairs = [
            builder.bitcast(builder.mul(half, factors), _WORDS)
            for half in (builder.and_(numbers, low), builder.lshr(numbers, word))
        ]
        # The words of the products of even numbers stand first, those of odd ones LANES further.
        places = [j % 2 * LANES + j - j % 2 for j in range(LANES)]
        words = [
            builder.shuffle_vector(*pairs, ir.Constant(_WORDS, [j + high for j in places]))
            for high in (1, 0)
        ]
        return context.make_tuple(builder, signature.return_type, words)

    pair = types.UniTuple(_WHOLE, 2)  # type: ignore[no-untyped-call]
    return pair(vector, types.uint32), generate


def _whole_within(_typing: Any, vector: Any, most: Any) -> Any:
    """Whole parts of numbers between 0 and ``most``, a vector, and 0 for what is no number."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        number, most = args
        zero = ir.Constant(_REALS, [0.0] * LANES)
        above = builder.fcmp_ordered(">", number, zero)
        number = builder.select(above, number, zero)
        number = builder.select(builder.fcmp_ordered("<", number, most), number, most)
        return builder.fptosi(number, _WORDS)

    return _WHOLE(vector, most), generate


def _nearest(_typing: Any, vector: Any) -> Any:
    """Nearest whole numbers, halves to the even one, as real numbers."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        instruction = builder.module.declare_intrinsic(
            f"llvm.rint.v{LANES}f32", fnty=ir.FunctionType(_REALS, [_REALS])
        )
        return builder.call(instruction, args)

    return _VECTOR(vector), generate


def _exceeds(_typing: Any, vector: Any, other: Any) -> Any:
    """1 where ``vector`` is above ``other``, else 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.zext(builder.fcmp_ordered(">", *args), _WORDS)

    return _WHOLE(vector, other), generate


def _larger(_typing: Any, vector: Any, other: Any) -> Any:
    """The larger of whole numbers."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *args), *args)

    return _WHOLE(vector, other), generate


def _where_number(_typing: Any, vector: Any, whole: Any, otherwise: Any) -> Any:
    """``whole`` where ``vector`` is a number, else ``otherwise``."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("ord", args[0], args[0]), *args[1:])

    return _WHOLE(vector, whole, otherwise), generate


def _real(_typing: Any, whole: Any) -> Any:
    """Whole numbers as real ones, rounded to single precision."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.sitofp(args[0], _REALS)

    return _VECTOR(whole), generate


def _add_products(_typing: Any, sums: Any, first: Any, second: Any) -> Any:
    """``sums`` and, of each pair of sixteen-bit numbers in 32, both products.

    Many processors have this as one instruction, which LLVM knows by this form.
    """

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        short, wide = (ir.VectorType(ir.IntType(bits), 2 * LANES) for bits in (16, 32))
        pairs = (builder.sext(builder.bitcast(arg, short), wide) for arg in args[1:])
        products = builder.mul(*pairs)
        even, odd = (ir.Constant(_WORDS, list(range(n, 2 * LANES, 2))) for n in (0, 1))
        both = (builder.shuffle_vector(products, products, half) for half in (even, odd))
        return builder.add(args[0], builder.add(*both))

    return _WHOLE(sums, first, second), generate


def _take(_typing: Any, table: Any, index: Any) -> Any:
    """``table[index]`` of a contiguous table (entry,) in single precision."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        entries = context.make_array(signature.args[0])(context, builder, args[0]).data
        offsets = builder.shl(
            builder.sext(args[1], _ADDRESSES), ir.Constant(_ADDRESSES, [2] * LANES)
        )
        starts = _spread(builder, builder.ptrtoint(entries, _ADDRESS))
        pointers = builder.inttoptr(
            builder.add(starts, offsets), ir.VectorType(ir.FloatType().as_pointer(), LANES)
        )
        instruction = builder.module.declare_intrinsic(
            f"llvm.masked.gather.v{LANES}f32.v{LANES}p0",
            fnty=ir.FunctionType(_REALS, [pointers.type, _WORD, _TRUTHS, _REALS]),
        )
        every, nothing = _TRUTHS([1] * LANES), ir.Constant(_REALS, ir.Undefined)
        return builder.call(instruction, [pointers, _WORD(4), every, nothing])

    return _VECTOR(table, index), generate


def _turn(_typing: Any, source: Any, row: Any, column: Any, target: Any, at: Any, to: Any) -> Any:
    """Transpose the square at (row, column) of ``source`` into that at (at, to) of ``target``.

    Halves of rows change places with those eight rows on, then quarters, and so on.
    """
    del row, column, at, to

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(first: int, n: int) -> Any:
            row = builder.add(args[first + 1], _ADDRESS(n))
            kind = signature.args[first]
            return _place(context, builder, kind, args[first], row, args[first + 2])

        rows = [builder.load(pointer(0, n), align=4) for n in range(LANES)]
        step = LANES // 2
        while step:
            lower = [k + LANES - step if k & step else k for k in range(LANES)]
            upper = [k + LANES if k & step else k + step for k in range(LANES)]
            for n in (n for n in range(LANES) if not n & step):
                pair = rows[n], rows[n + step]
                rows[n] = builder.shuffle_vector(*pair, ir.Constant(_WORDS, lower))
                rows[n + step] = builder.shuffle_vector(*pair, ir.Constant(_WORDS, upper))
            step //= 2
        for n, row in enumerate(rows):
            builder.store(row, pointer(3, n), align=4)
        return context.get_dummy_value()

    _refuse_read_only(target)
    places = (types.intp, types.intp)
    return types.void(source, *places, target, *places), generate


load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
store_some: Any = intrinsic(_store_some)
splat: Any = intrinsic(_splat)
lane_sum: Any = intrinsic(_lane_sum)
turn: Any = intrinsic(_turn)
whole_within: Any = intrinsic(_whole_within)
nearest: Any = intrinsic(_nearest)
exceeds: Any = intrinsic(_exceeds)
larger: Any = intrinsic(_larger)
where_number: Any = intrinsic(_where_number)
real: Any = intrinsic(_real)
count_from: Any = intrinsic(_count_from)
long_products: Any = intrinsic(_long_products)
add_products: Any = intrinsic(_add_products)
take: Any = intrinsic(_take)
