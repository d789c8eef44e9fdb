"""Netlist generators: parameters and arrays in, a PySpice ``Circuit`` out."""
