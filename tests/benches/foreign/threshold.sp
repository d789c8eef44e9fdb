* One bit: a transistor with a resistor, decided at half of the supply.
.subckt threshold in out vdd gnd
Mn1 mid in  gnd gnd imc_nmos W=240n L=60n
R1  vdd mid 50k
Bout out gnd V=v(vdd,gnd)*u(v(vdd,gnd)/2-v(mid,gnd))
.ends
