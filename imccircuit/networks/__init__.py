"""Networks on surrogates and on SPICE: mapping, studies, accuracy."""
