// A machine between its memory and its host, one clock cycle at a time. GW_BUS_BYTES is the width of its AXI4 master.

#include "axi_lite.h"
#include "axi_memory.h"

#ifndef GW_RESET
#define GW_RESET rst
#define GW_RESET_LEVEL 1
#define GW_INTERRUPT irq
#endif

namespace {

constexpr int RESET_CYCLES = 4;
constexpr int ANSWER_CYCLES = 100'000;  // a register access that takes longer will never end

template <class Top> struct Bus {
    BusOptions options;
    std::vector<ErrorRange> errors;
    Model& model;
    Top& top;
    Counters counters{};
    AxiMemory<Top> memory;
    AxiLiteHost<Top> host;
    bool interrupt = false;

    Bus(Model& model, Top& top, const BusOptions& given)
        : options{given},
          errors(given.errors, given.errors + given.error_count),
          model{model},
          top{top},
          memory{top, options, counters},
          host{top, options, counters} {
        options.errors = errors.data();
    }

    void reset() {
        top.GW_RESET = GW_RESET_LEVEL;
        for (int i = 0; i < RESET_CYCLES; ++i) {
            memory.reset();
            host.reset();
            model.settle();
            if (i) memory.check_silence(), host.check_silence();
            model.edge();
        }
        top.GW_RESET = !GW_RESET_LEVEL;
        interrupt = false;
    }

    void cycle() {
        const uint64_t now = model.cycles;
        memory.drive(now);
        host.drive();
        model.settle();
        memory.sample(now);
        host.sample();
        interrupt = GW_READ(GW_INTERRUPT, 0);
        model.edge();
    }

    uint64_t run(uint64_t cycles, bool until_interrupt) {
        const uint64_t start = model.cycles;
        for (uint64_t i = 0; i < cycles; ++i) {
            cycle();
            if (until_interrupt && interrupt) break;
        }
        return model.cycles - start;
    }

    // Finish the access that was started and let the host's own time pass; return the response's code.
    int access(const char* what, uint32_t offset) {
        for (int i = 0; host.busy(); ++i) {
            if (i == ANSWER_CYCLES) throw std::runtime_error(format("register %s at 0x%x is never answered", what, offset));
            cycle();
        }
        run(options.host_cycles, false);
        return static_cast<int>(host.answer_code());
    }

    // A rule that was broken stays broken: nothing that comes after means anything.
    bool broken = false;

    template <class Work> int guarded(Work work) {
        if (broken) return -2;
        const int status = model.guarded(work);
        broken = status < 0;
        if (broken) model.message += format(", in cycle %" PRIu64, model.cycles);
        return status;
    }
};

using MachineBus = Bus<Vtop>;

}  // namespace

GW_API void* gw_bus_open(Model* model, const BusOptions* options) { return new MachineBus{*model, *model->top, *options}; }
GW_API void gw_bus_close(void* bus) { delete static_cast<MachineBus*>(bus); }

GW_API int gw_bus_reset(void* handle) {
    auto& bus = *static_cast<MachineBus*>(handle);
    return bus.guarded([&] { return bus.reset(), 0; });
}

// 1 if the interrupt line was active in the last cycle that ran.
GW_API int gw_bus_run(void* handle, uint64_t cycles, int until_interrupt) {
    auto& bus = *static_cast<MachineBus*>(handle);
    return bus.guarded([&] { return bus.run(cycles, until_interrupt), static_cast<int>(bus.interrupt); });
}

GW_API int gw_bus_read32(void* handle, uint32_t offset, uint32_t* value) {
    auto& bus = *static_cast<MachineBus*>(handle);
    return bus.guarded([&] {
        bus.host.start_read(offset);
        const int code = bus.access("read", offset);
        *value = bus.host.answer();
        return code;
    });
}

GW_API int gw_bus_write32(void* handle, uint32_t offset, uint32_t value) {
    auto& bus = *static_cast<MachineBus*>(handle);
    return bus.guarded([&] {
        bus.host.start_write(offset, value);
        return bus.access("write", offset);
    });
}

GW_API const Counters* gw_bus_counters(void* handle) { return &static_cast<MachineBus*>(handle)->counters; }
GW_API uint64_t gw_bus_last_active(void* handle) { return static_cast<MachineBus*>(handle)->memory.last_active(); }
GW_API uint64_t gw_bus_outstanding(void* handle) { return static_cast<MachineBus*>(handle)->memory.outstanding(); }
