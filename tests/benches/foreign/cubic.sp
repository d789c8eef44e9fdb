* A regenerative comparator of controlled sources, drawn by hand: outputs first, offset of 3 mV.
* C·d' = ck·(gm·d·(1 - (d/V)^2) + 2·gi·(vp - vn + 3 mV)) - gr·(1 - ck)·d, for d = q - qn
.subckt Cubic QN Q CK VP VN VDD VSS BIAS
.param c=10f gm=200u gi=100u gr=2m
Cq Q VSS {c}
Cqn QN VSS {c}
* 1 where the clock is high
Ehigh high 0 CK VSS {1/1.2}
Bgrow grow 0 V=v(high)*(0.5*gm*(v(Q)-v(QN))*(1-((v(Q)-v(QN))/1.2)^2)+gi*(v(VP)-v(VN)+3m))
Bq VSS Q I=v(grow)+gr*(1-v(high))*(0.6-v(Q))
Bqn VSS QN I=-v(grow)+gr*(1-v(high))*(0.6-v(QN))
* what it costs, and what it kicks
Rvdd VDD VSS 100k
Rbias BIAS VSS 50k
Cck CK VSS 2f
Ckp CK VP 0.5f
Ckn CK VN 0.5f
.ends
