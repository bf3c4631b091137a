// A Verilated design behind a C interface: its ports by index, the clock, noise by seed, and an optional VCD trace.
// Ports are read and written by the caller through the addresses that gw_port gives.

#include <stdexcept>

#ifdef GW_TRACE
#include "verilated_vcd_c.h"
#endif

#ifndef GW_CLOCK
#define GW_CLOCK clk
#endif

#define GW_API extern "C" __attribute__((visibility("default")))

// $stop and failed assertions must reach Python as an error, not end its process.
void vl_fatal(const char* file, int line, const char* scope, const char* message) {
    throw std::runtime_error(std::string{message} + " (" + file + ":" + std::to_string(line) + " in " + scope + ")");
}
void vl_stop(const char* file, int line, const char* scope) { vl_fatal(file, line, scope, "the design stopped"); }

// A rule that the design broke on one of its interfaces.
struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Model {
    VerilatedContext context;
    Vtop* top = nullptr;
    uint64_t cycles = 0;
    std::string message;
#ifdef GW_TRACE
    VerilatedVcdC trace;
#endif

    Model(uint32_t seed, const char* trace_path) {
        context.randReset(2);
        context.randSeed(static_cast<int>((seed & 0x3fffffff) + 1));  // 0 would mean a seed that differs every time
        context.fatalOnError(true);
#ifdef GW_TRACE
        context.traceEverOn(true);
#endif
        gw_drawn = 0;
        top = new Vtop{&context};
#ifdef GW_TRACE
        top->trace(&trace, 99);
        trace.set_time_unit("1ns");
        trace.set_time_resolution("1ns");
        trace.open(trace_path);
#endif
        (void)trace_path;
    }

    ~Model() {
#ifdef GW_TRACE
        trace.close();
#endif
        top->final();
        delete top;
    }

    template <class T> static void set_clock(T* model, int level) {
        if constexpr (requires { model->GW_CLOCK; }) model->GW_CLOCK = level;
    }

    // Before the rising edge: what the outputs say now is what the edge samples.
    void settle() {
        set_clock(top, 0);
        top->eval();
    }

    // The rising edge; in a trace, ten units a cycle and the edge in its middle.
    void edge() {
        dump(10 * cycles);
        set_clock(top, 1);
        top->eval();
        dump(10 * cycles + 5);
        ++cycles;
    }

    void dump(uint64_t time) {
        context.time(time);
#ifdef GW_TRACE
        trace.dump(time);
#endif
    }

    // 0 or more is the work's own answer, -1 a failure, -2 a violation; `message` says which.
    template <class Work> int guarded(Work work) {
        try {
            return work();
        } catch (const Violation& error) {
            message = error.what();
            return -2;
        } catch (const std::exception& error) {
            message = error.what();
            return -1;
        }
    }
};

GW_API Model* gw_open(uint32_t seed, const char* trace_path) { return new Model{seed, trace_path}; }
GW_API void gw_close(Model* model) { delete model; }
GW_API const char* gw_message(Model* model) { return model->message.c_str(); }
GW_API uint64_t gw_cycles(Model* model) { return model->cycles; }

GW_API void* gw_port(Model* model, int index) {
    void* const ports[] = {
#define GW_PORT(name) &model->top->name,
#include "ports.inc"
#undef GW_PORT
        nullptr};
    return ports[index];
}

GW_API int gw_settle(Model* model) {
    return model->guarded([&] { return model->settle(), 0; });
}

GW_API int gw_tick(Model* model, uint64_t count) {
    return model->guarded([&] {
        for (uint64_t i = 0; i < count; ++i) {
            model->settle();
            model->edge();
        }
        model->settle();
        return 0;
    });
}
