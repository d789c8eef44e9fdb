"""What is read off simulated arrays: pure functions ``compute_*`` that know no file and no engine.

Every function takes arrays in SI units whose last axes are named in its docstring; leading axes
(point, sample, batch) pass through. A NaN in the input gives NaN for the chip it belongs to.
"""

from imccircuit.metrics.adc import (
    NO_CODE,
    Linearity,
    compute_cdac_levels,
    compute_codes,
    compute_inl_dnl,
    compute_tree_levels,
)
from imccircuit.metrics.array import (
    ColumnError,
    IrDrop,
    compute_column_error,
    compute_ir_drop,
    compute_kcl_residual,
    compute_nrmse,
    compute_worst_cell,
)
from imccircuit.metrics.statistics import (
    Proportion,
    Summary,
    compute_proportion_interval,
    compute_summary,
)

__all__ = [
    "NO_CODE",
    "ColumnError",
    "IrDrop",
    "Linearity",
    "Proportion",
    "Summary",
    "compute_cdac_levels",
    "compute_codes",
    "compute_column_error",
    "compute_inl_dnl",
    "compute_ir_drop",
    "compute_kcl_residual",
    "compute_nrmse",
    "compute_proportion_interval",
    "compute_summary",
    "compute_tree_levels",
    "compute_worst_cell",
]
