// Random pauses of a channel: mostly of one or a few cycles, now and then long enough to fill every buffer behind it.

#pragma once
#include <cstdint>

struct Random {
    uint64_t state;

    explicit Random(uint64_t seed) : state{seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du} {
        for (int i = 0; i < 8; ++i) next();
    }

    uint32_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<uint32_t>(state >> 32);
    }

    uint32_t below(uint32_t limit) { return static_cast<uint32_t>((static_cast<uint64_t>(next()) * limit) >> 32); }
    bool chance(uint32_t of_65536) { return (next() & 0xffff) < of_65536; }
};

struct Stall {
    uint32_t rest = 0;

    // Whether this cycle is one of a pause; `probability` is that of a pause to begin, of 65536.
    bool now(Random& random, uint32_t probability) {
        if (rest) return --rest, true;
        if (!probability || !random.chance(probability)) return false;
        rest = random.below(32) ? random.below(4) : random.below(48);
        return true;
    }
};
