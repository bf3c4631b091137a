"""The machine whose multipliers are made of 2-bit bricks: the operand widths of a layer set its speed."""

__all__ = ()
