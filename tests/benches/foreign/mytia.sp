* A transimpedance amplifier, drawn by hand: one pole, an output resistance, a feedback resistor.
.subckt mytia IN OUT VREF VDD VSS BIAS rf=10k
Gm VSS x VREF IN 1m
Rx x VSS 1meg
Cx x VSS 0.2p
Eo y VSS x VSS 1
Ro y OUT 100
Rf OUT IN {rf}
Rsupply VDD VSS 12k
Rbias BIAS VSS 5k
.ends
