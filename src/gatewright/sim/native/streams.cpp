// Streams of a component, each fed or drained under random pauses, and the rules of a stream checked in every cycle.

#include "stalls.h"

struct Stream {
    const char* name;
    uint8_t* payload;  // the port's variable, null where the payload is empty
    uint8_t* valid;    // null where the signature says it is always so
    uint8_t* ready;
    uint64_t bytes;  // of the payload
    uint64_t width;
    uint8_t* items;  // `count` payloads one after the other, to be sent or filled in
    uint64_t count;
    uint64_t done;
    uint32_t stall;
};

namespace {

struct Channel {
    Stream& stream;
    Stall stall{};
    bool waiting = false;       // valid and not accepted in the cycle before
    std::vector<uint8_t> held{};  // the payload then

    bool valid() const { return !stream.valid || *stream.valid; }
    bool ready() const { return !stream.ready || *stream.ready; }
    bool same_payload() const { return !memcmp(held.data(), stream.payload, stream.bytes); }
    void hold() { held.assign(stream.payload, stream.payload + stream.bytes); }
};

struct Bench {
    Model& model;
    std::vector<Channel> inputs;
    std::vector<Channel> outputs;
    Random random;
    uint64_t idle = 0;

    [[noreturn]] void fail(const Stream& stream, const std::string& what) const {
        throw Violation(std::string{"Stream "} + stream.name + ": " + what + ", in cycle " +
                                 std::to_string(model.cycles));
    }

    void drive() {
        for (auto& input : inputs) {
            Stream& stream = input.stream;
            if (input.waiting) continue;
            const bool offer = stream.done < stream.count && (!stream.valid || !input.stall.now(random, stream.stall));
            if (stream.valid) *stream.valid = offer;
            if (offer) {
                memcpy(stream.payload, stream.items + stream.done * stream.bytes, stream.bytes);
            } else {
                for (uint64_t i = 0; i < stream.bytes; ++i) stream.payload[i] = noise(stream, i);
            }
        }
        for (auto& output : outputs)
            if (output.stream.ready) *output.stream.ready = !output.stall.now(random, output.stream.stall);
    }

    uint8_t noise(const Stream& stream, uint64_t byte) {
        const uint64_t bits = stream.width > 8 * byte ? stream.width - 8 * byte : 0;
        return static_cast<uint8_t>(random.next() & (bits >= 8 ? 0xff : (1u << bits) - 1));
    }

    // What was offered and not taken stands as it was.
    void check_stability() {
        for (auto& output : outputs) {
            if (output.waiting && !output.valid()) fail(output.stream, "valid fell before ready");
            if (output.waiting && !output.same_payload()) fail(output.stream, "payload changed before ready");
            output.hold();
        }
    }

    // `valid` and `payload` do not depend on `ready` of the same cycle.
    void check_independence() {
        std::vector<bool> valid;
        for (auto& output : outputs) valid.push_back(output.valid());
        flip_ready();
        model.settle();
        for (size_t i = 0; i < outputs.size(); ++i) {
            const auto& output = outputs[i];
            if (output.valid() != valid[i]) fail(output.stream, "valid depends on ready of the same cycle");
            if (valid[i] && !output.same_payload()) fail(output.stream, "payload depends on ready of the same cycle");
        }
        flip_ready();
        model.settle();
    }

    void flip_ready() {
        for (auto& output : outputs)
            if (output.stream.ready) *output.stream.ready ^= 1;
    }

    void sample_input(Channel& input) {
        Stream& stream = input.stream;
        const bool offered = input.valid() && stream.done < stream.count;
        const bool taken = offered && input.ready();
        if (taken) ++stream.done, idle = 0;
        input.waiting = offered && !taken && stream.valid;
    }

    void sample_output(Channel& output) {
        Stream& stream = output.stream;
        const bool taken = output.valid() && output.ready();
        output.waiting = output.valid() && !taken;
        if (!taken || (stream.done == stream.count && !stream.valid)) return;
        if (stream.done == stream.count)
            fail(stream, "more than the expected " + std::to_string(stream.count) + " items came out");
        memcpy(stream.items + stream.done * stream.bytes, stream.payload, stream.bytes);
        ++stream.done, idle = 0;
    }

    bool complete() const {
        for (auto& output : outputs)
            if (output.stream.done < output.stream.count) return false;
        for (auto& input : inputs)
            if (input.stream.done < input.stream.count) return false;
        return true;
    }

    std::string progress() const {
        std::string text = "No item moved for a long time:";
        for (auto& input : inputs) text += count_of(input.stream, " took ");
        for (auto& output : outputs) text += count_of(output.stream, " gave ");
        return text;
    }

    static std::string count_of(const Stream& stream, const char* verb) {
        const std::string count = std::to_string(stream.done) + " of " + std::to_string(stream.count);
        return std::string{" "} + stream.name + verb + count + ";";
    }

    void cycle() {
        drive();
        model.settle();
        check_stability();
        if (random.below(4) == 0) check_independence();
        for (auto& output : outputs) sample_output(output);
        for (auto& input : inputs) sample_input(input);
        model.edge();
        ++idle;
    }

    // Return how many cycles it took until the last item moved.
    int64_t run(uint64_t patience, uint64_t drain) {
        const uint64_t start = model.cycles;
        while (!complete()) {
            cycle();
            if (idle > patience) throw std::runtime_error(progress());
        }
        const int64_t took = static_cast<int64_t>(model.cycles - start);
        for (uint64_t i = 0; i < drain; ++i) cycle();
        return took;
    }
};

}  // namespace

GW_API int64_t gw_streams(Model* model, Stream* inputs, int input_count, Stream* outputs, int output_count, uint32_t seed,
                          uint64_t patience, uint64_t drain) {
    int64_t took = 0;
    const int status = model->guarded([&] {
        Bench bench{*model, {}, {}, Random{seed}};
        for (int i = 0; i < input_count; ++i) bench.inputs.push_back({inputs[i]});
        for (int i = 0; i < output_count; ++i) bench.outputs.push_back({outputs[i]});
        took = bench.run(patience, drain);
        return 0;
    });
    return status ? status : took;
}
