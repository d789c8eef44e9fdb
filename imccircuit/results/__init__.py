"""The results file: HDF5 that is also netCDF4, read by h5py, xarray and pandas alike."""
