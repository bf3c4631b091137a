// What the two AXI interfaces of a machine share: options, counters, pins that a machine may lack, and rules.

#pragma once
#include <algorithm>
#include <bit>
#include <cinttypes>

#include "stalls.h"

// What the names of the two interfaces' pins begin with.
#ifndef GW_MASTER
#define GW_MASTER m_axi_
#define GW_SLAVE s_axi_
#endif
#define GW_JOIN_NOW(prefix, name) prefix##name
#define GW_JOIN(prefix, name) GW_JOIN_NOW(prefix, name)
#define MAXI(pin) GW_JOIN(GW_MASTER, pin)
#define SAXI(pin) GW_JOIN(GW_SLAVE, pin)

// Pins that a machine may leave out read as `absent`, and driving them does nothing.
#define GW_READ(pin, absent)                             \
    [](auto& pins) -> uint64_t {                         \
        if constexpr (requires { pins.pin; })            \
            return static_cast<uint64_t>(pins.pin);      \
        else                                             \
            return absent;                               \
    }(top)
#define GW_DRIVE(pin, value)                                                   \
    [&](auto& pins) {                                                          \
        if constexpr (requires { pins.pin; })                                  \
            pins.pin = static_cast<std::decay_t<decltype(pins.pin)>>(value);   \
    }(top)

constexpr unsigned BUS_BYTES = GW_BUS_BYTES;
constexpr unsigned BUS_SIZE = std::countr_zero(BUS_BYTES);
enum Response : unsigned { OKAY = 0, EXOKAY = 1, SLVERR = 2, DECERR = 3 };

struct ErrorRange {
    uint64_t start, end;
    uint32_t response;
    uint32_t reads, writes;
};

struct BusOptions {
    uint8_t* memory;
    uint64_t base, size;
    const ErrorRange* errors;
    uint32_t error_count;
    uint32_t read_latency, write_latency, jitter;
    uint32_t read_limit, write_limit;
    uint32_t read_wait, write_wait;     // cycles that an address waits for READY
    uint32_t serial;                    // a read's latency begins no earlier than the end of the read before it
    uint32_t write_gap;                 // from a write's address, and from the end of the write before it, to its data
    uint32_t run_cycles, pause_cycles;  // data moves for so many cycles, then rests for so many; 0: never rests
    uint32_t stall;                     // probability that a pause of a channel begins, of 65536
    uint32_t reorder;                   // between IDs: bursts answered out of order, read beats interleaved
    uint32_t check_hazards;
    uint32_t host_cycles;
    uint32_t seed;
};

// Of one channel: transfers, cycles in which the bench kept one from happening, and cycles in which the machine did.
struct Counter {
    uint64_t transfers, held_by_bench, held_by_machine;
};

struct Counters {
    Counter read_address, read_data, write_address, write_data, write_response;
    Counter lite_read_address, lite_read_data, lite_write_address, lite_write_data, lite_write_response;
};

// A request on AR or AW.
struct Request {
    uint64_t address;
    uint32_t id, length, size, burst;
    bool operator==(const Request&) const = default;

    uint64_t first_byte() const { return address & ~uint64_t{BUS_BYTES - 1}; }
    uint64_t end() const { return first_byte() + uint64_t{length + 1} * BUS_BYTES; }
};

// A beat on W.
struct WriteBeat {
    uint8_t data[BUS_BYTES];
    uint32_t strobes;
    bool last;
    bool operator==(const WriteBeat&) const = default;
};

inline std::string format(const char* pattern, auto... values) {
    char text[256];
    snprintf(text, sizeof text, pattern, values...);
    return text;
}

// The rule that all channels share: VALID and what it goes with stay until READY.
template <class Payload> struct Held {
    bool waiting = false;
    Payload payload{};

    void check(const char* channel, bool valid, bool ready, const Payload& now) {
        if (waiting && !valid) throw Violation(format("%sVALID fell before %sREADY", channel, channel));
        if (waiting && !(now == payload)) throw Violation(format("%s changed between %sVALID and %sREADY", channel, channel, channel));
        waiting = valid && !ready;
        if (waiting) payload = now;
    }
};
