/* A resistor as a compiler of Verilog-A would give it: OSDI 0.3, one device "testres" with the
 * parameters m (of the instance) and r (of the model), and its thermal noise.
 *
 * Of the interface only what its binary layout needs is declared here, in words of our own. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NONE UINT32_MAX
#define RESISTIVE 5u /* entry of the Jacobian: resistive and constant */
#define INSTANCE (1u << 30)
#define SET 1u
#define OF_INSTANCE 4u

typedef struct { uint32_t first, second; } Pair;
typedef struct { Pair nodes; uint32_t charge_pointer, flags; } Entry;
typedef struct {
    char *name, *units, *flow_units;
    uint32_t current, charge, limit, charge_limit;
    bool is_flow;
} Node;
typedef struct {
    char **names;
    uint32_t aliases;
    char *description, *units;
    uint32_t flags, length;
} Parameter;
typedef struct { char *name; Pair nodes; } NoiseSource;
typedef struct {
    char **names;
    double *values;
    char **text_names, **texts;
} SimulatorParameters;
typedef struct {
    SimulatorParameters given;
    double time;
    double *solution, *state, *next_state;
    uint32_t flags;
} Simulation;
typedef struct { uint32_t flags, errors; void *error; } Setup;

typedef struct { double r; bool r_given; } Model;
typedef struct {
    uint32_t node[2];
    double *matrix[4];
    bool collapsed[1];
    double multiplier;
    bool multiplier_given;
    double temperature;
    double current[2];
} Instance;

static void *access_parameter(void *instance, void *model, uint32_t id, uint32_t flags) {
    Instance *i = instance;
    Model *m = model;
    if (id == 0) {
        if (!(flags & OF_INSTANCE)) return NULL;
        if (flags & SET) i->multiplier_given = true;
        return &i->multiplier;
    }
    if (id == 1) {
        if (flags & SET) m->r_given = true;
        return &m->r;
    }
    return NULL;
}

static void setup_model(void *handle, void *model, SimulatorParameters *given, Setup *result) {
    Model *m = model;
    (void)handle, (void)given;
    if (!m->r_given) m->r = 1e3;
    *result = (Setup){0, 0, NULL};
}

static void setup_instance(void *handle, void *instance, void *model, double temperature,
                           uint32_t terminals, SimulatorParameters *given, Setup *result) {
    Instance *i = instance;
    (void)handle, (void)model, (void)terminals, (void)given;
    if (!i->multiplier_given) i->multiplier = 1;
    i->temperature = temperature;
    *result = (Setup){0, 0, NULL};
}

static double conductance(void *instance, void *model) {
    return ((Instance *)instance)->multiplier / ((Model *)model)->r;
}

static uint32_t evaluate(void *handle, void *instance, void *model, Simulation *now) {
    Instance *i = instance;
    double flow = (now->solution[i->node[0]] - now->solution[i->node[1]]) * conductance(i, model);
    (void)handle;
    i->current[0] = flow;
    i->current[1] = -flow;
    return 0;
}

static void load_noise(void *instance, void *model, double frequency, double *density) {
    (void)frequency;
    density[0] = 4 * 1.380649e-23 * ((Instance *)instance)->temperature * conductance(instance, model);
}

static void load_current(void *instance, void *model, double *to) {
    Instance *i = instance;
    (void)model;
    for (int k = 0; k < 2; k++) to[i->node[k]] += i->current[k];
}

/* What a linear element adds to the right-hand side: Jacobian times solution less current, 0. */
static void load_rhs(void *instance, void *model, double *to, double *solution) {
    (void)instance, (void)model, (void)to, (void)solution;
}

static void load_rhs_tran(void *instance, void *model, double *to, double *solution, double alpha) {
    (void)alpha;
    load_rhs(instance, model, to, solution);
}

static void load_matrix(void *instance, void *model) {
    Instance *i = instance;
    double g = conductance(instance, model);
    for (int k = 0; k < 4; k++) *i->matrix[k] += k % 3 == 0 ? g : -g;
}

static void load_matrix_tran(void *instance, void *model, double alpha) {
    (void)alpha;
    load_matrix(instance, model);
}

static void nothing(void *instance, void *model, double *to) {
    (void)instance, (void)model, (void)to;
}

static void no_charge(void *instance, void *model, double alpha) {
    (void)instance, (void)model, (void)alpha;
}

static Node nodes[2] = {
    {"a", "V", "A", offsetof(Instance, current[0]), NONE, NONE, NONE, false},
    {"b", "V", "A", offsetof(Instance, current[1]), NONE, NONE, NONE, false},
};
static Entry entries[4] = {
    {{0, 0}, NONE, RESISTIVE}, {{0, 1}, NONE, RESISTIVE},
    {{1, 0}, NONE, RESISTIVE}, {{1, 1}, NONE, RESISTIVE},
};
static NoiseSource noise[1] = {{"thermal", {0, 1}}};
static char *m_names[1] = {"$mfactor"}, *r_names[1] = {"r"};
static Parameter parameters[2] = {
    {m_names, 0, "multiplier", "", INSTANCE, 0},
    {r_names, 0, "resistance", "ohm", 0, 0},
};

struct {
    char *name;
    uint32_t num_nodes, num_terminals;
    Node *nodes;
    uint32_t num_entries;
    Entry *entries;
    uint32_t num_collapsible;
    Pair *collapsible;
    uint32_t collapsed_at;
    NoiseSource *noise;
    uint32_t num_noise, num_parameters, num_instance_parameters, num_outputs;
    Parameter *parameters;
    uint32_t nodes_at, matrix_at, num_states, state_at, bound_step_at, instance_size, model_size;
    void *(*access)(void *, void *, uint32_t, uint32_t);
    void (*setup_model)(void *, void *, SimulatorParameters *, Setup *);
    void (*setup_instance)(void *, void *, void *, double, uint32_t, SimulatorParameters *, Setup *);
    uint32_t (*evaluate)(void *, void *, void *, Simulation *);
    void (*load_noise)(void *, void *, double, double *);
    void (*load_current)(void *, void *, double *);
    void (*load_charge)(void *, void *, double *);
    void (*load_limit)(void *, void *, double *);
    void (*load_charge_limit)(void *, void *, double *);
    void (*load_rhs_dc)(void *, void *, double *, double *);
    void (*load_rhs_tran)(void *, void *, double *, double *, double);
    void (*load_matrix)(void *, void *);
    void (*load_matrix_charge)(void *, void *, double);
    void (*load_matrix_tran)(void *, void *, double);
} OSDI_DESCRIPTORS[1] = {{
    "testres", 2, 2, nodes, 4, entries, 0, NULL, offsetof(Instance, collapsed), noise, 1,
    2, 1, 0, parameters, offsetof(Instance, node), offsetof(Instance, matrix), 0, NONE, NONE,
    sizeof(Instance), sizeof(Model), access_parameter, setup_model, setup_instance, evaluate,
    load_noise, load_current, nothing, nothing, nothing, load_rhs, load_rhs_tran, load_matrix,
    no_charge, load_matrix_tran,
}};

uint32_t OSDI_VERSION_MAJOR = 0;
uint32_t OSDI_VERSION_MINOR = 3;
uint32_t OSDI_NUM_DESCRIPTORS = 1;
