"""Vectors of eight float32 numbers for numba code.

numba turns a loop into vector instructions only where its iterations are many. With the functions here, eight numbers
stay in a register through any loop, on every processor: compilers split them where registers are smaller. Arrays are
contiguous, of float32 and one dimension.
"""

from typing import Any

from numba.core import types
from numba.core.cgutils import ir
from numba.extending import intrinsic, models, register_model

WIDTH = 8
# Typed as numba calls what it decorates, without ``typing``.
_instruction: Any = intrinsic
_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
# In bytes: what any array of float32 has.
_ALIGNMENT = 4


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: types.Type) -> None:
        super().__init__(manager, kind, _VECTOR)


def _address(context: Any, builder: Any, kind: types.Type, array: Any, start: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), _VECTOR.as_pointer())


@_instruction
def load(typing: Any, array: Any, start: Any) -> Any:
    """Return the vector that begins at ``array[start]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=_ALIGNMENT)

    return _LANES(array, types.intp), code


@_instruction
def store(typing: Any, array: Any, start: Any, vector: Any) -> Any:
    """Write the vector to ``array[start]`` and what follows."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], address, align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANES), code


@_instruction
def fill(typing: Any, number: Any) -> Any:
    """Return the vector that holds ``number`` eight times."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.Constant(_VECTOR, ir.Undefined)
        for lane in range(WIDTH):
            vector = builder.insert_element(vector, arguments[0], ir.Constant(ir.IntType(32), lane))
        return vector

    return _LANES(types.float32), code


@_instruction
def add(typing: Any, a: Any, b: Any) -> Any:
    """Return a + b."""
    return _LANES(_LANES, _LANES), lambda context, builder, signature, arguments: builder.fadd(*arguments)


@_instruction
def where_above(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Return ``yes`` where a is above b or no number, ``no`` elsewhere."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, yes, no = arguments
        return builder.select(builder.fcmp_unordered(">", a, b), yes, no)

    return _LANES(_LANES, _LANES, _LANES, _LANES), code


@_instruction
def any_above(typing: Any, a: Any, b: Any) -> Any:
    """Return whether a is above b, or no number, in any lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_unordered(">", *arguments), ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(_LANES, _LANES), code
