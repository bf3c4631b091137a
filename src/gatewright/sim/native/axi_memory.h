// The memory on the machine's AXI4 master: latency, bandwidth, limits, random pauses, reordering, errors; and the
// protocol's rules, checked in every cycle.

#pragma once
#include "axi.h"

// A burst on its way through the memory. A read copies its data early (when it is requested) or late (when it is sent),
// a write lands early (with each beat) or late (with the response): AXI promises nothing more, so a machine that orders
// its transfers otherwise than by their responses is found out.
struct Burst {
    Request request;
    uint64_t due;  // of a read, its first beat; of a write, until its data is complete also its first beat, then its response
    uint32_t beat;
    bool early;
    uint32_t response;
    std::vector<uint8_t> data;
    std::vector<uint32_t> strobes;

    bool complete() const { return beat == request.length + 1; }
    uint64_t address() const { return request.first_byte() + uint64_t{beat} * BUS_BYTES; }
};

template <class Top> class AxiMemory {
  public:
    AxiMemory(Top& top, const BusOptions& options, Counters& counters)
        : top{top}, options{options}, counters{counters}, random{options.seed * 2 + 1} {}

    // Drive the machine's inputs for cycle `now`.
    void drive(uint64_t now) {
        const bool resting = options.pause_cycles && now % (options.run_cycles + options.pause_cycles) >= options.run_cycles;
        ready.read_address = reads.size() < options.read_limit && waited.read >= options.read_wait && !pause(stalls.read_address);
        ready.write_address = writes.size() < options.write_limit && waited.write >= options.write_wait && !pause(stalls.write_address);
        filling = std::find_if(writes.begin(), writes.end(), [](auto& write) { return !write.complete(); }) - writes.begin();
        ready.write_data = !pause(stalls.write_data) && !resting && filling < writes.size() &&
                           std::max(writes[filling].due, write_free) <= now;
        drive_ready();
        drive_read_data(now, resting);
        drive_write_response(now);
    }

    // Look at the machine's outputs as the rising edge of cycle `now` will see them.
    void sample(uint64_t now) {
        if (options.stall && random.below(32) == 0) check_independence();
        const Request read = read_request(), write = write_request();
        const bool read_valid = top.MAXI(arvalid), write_valid = top.MAXI(awvalid), data_valid = top.MAXI(wvalid);
        held.read.check("AR", read_valid, ready.read_address, read);
        held.write.check("AW", write_valid, ready.write_address, write);
        waited.read = read_valid && !ready.read_address ? waited.read + 1 : 0;
        waited.write = write_valid && !ready.write_address ? waited.write + 1 : 0;
        count(counters.read_address, read_valid, ready.read_address);
        count(counters.write_address, write_valid, ready.write_address);
        count(counters.write_data, data_valid, ready.write_data);
        // Data before addresses: a beat may not belong to an address that comes with it.
        if (data_valid || held.data.waiting) sample_write_data(now, data_valid);
        if (read_valid && ready.read_address) accept_read(read, now);
        if (write_valid && ready.write_address) accept_write(write, now);
        sample_read_data(now);
        sample_write_response();
    }

    void check_silence() {
        if (top.MAXI(arvalid) || top.MAXI(awvalid) || top.MAXI(wvalid))
            throw Violation("ARVALID, AWVALID and WVALID must be low during reset");
    }

    // As after power-up: nothing under way, nothing asked of the machine.
    void reset() {
        reads.clear();
        writes.clear();
        held = {};
        ready = {};
        sent.valid = response.valid = false;
        waited = {};
        write_free = 0;
        drive_ready();
        top.MAXI(rvalid) = 0;
        top.MAXI(bvalid) = 0;
    }

    size_t outstanding() const { return reads.size() + writes.size(); }
    uint64_t last_active() const { return active; }

  private:
    void count(Counter& counter, bool valid, bool ready) {
        counter.transfers += valid && ready;
        counter.held_by_bench += valid && !ready;
    }

    bool pause(Stall& stall) { return options.stall && stall.now(random, options.stall); }
    uint64_t jitter() { return options.jitter ? random.below(options.jitter + 1) : 0; }

    void drive_ready() {
        top.MAXI(arready) = ready.read_address;
        top.MAXI(awready) = ready.write_address;
        top.MAXI(wready) = ready.write_data;
    }

    Request read_request() {
        return {top.MAXI(araddr), static_cast<uint32_t>(GW_READ(MAXI(arid), 0)), top.MAXI(arlen),
                static_cast<uint32_t>(GW_READ(MAXI(arsize), BUS_SIZE)), static_cast<uint32_t>(GW_READ(MAXI(arburst), 1))};
    }

    Request write_request() {
        return {top.MAXI(awaddr), static_cast<uint32_t>(GW_READ(MAXI(awid), 0)), top.MAXI(awlen),
                static_cast<uint32_t>(GW_READ(MAXI(awsize), BUS_SIZE)), static_cast<uint32_t>(GW_READ(MAXI(awburst), 1))};
    }

    WriteBeat write_beat() {
        WriteBeat beat;
        memcpy(beat.data, &top.MAXI(wdata), BUS_BYTES);
        beat.strobes = top.MAXI(wstrb);
        beat.last = top.MAXI(wlast);
        return beat;
    }

    // AXI allows no combinational path from an input to an output.
    void check_independence() {
        const Request read = read_request(), write = write_request();
        const WriteBeat beat = write_beat();
        const bool valid[] = {bool(top.MAXI(arvalid)), bool(top.MAXI(awvalid)), bool(top.MAXI(wvalid))};
        top.MAXI(arready) ^= 1, top.MAXI(awready) ^= 1, top.MAXI(wready) ^= 1;
        top.eval();
        check_same("AR", valid[0], top.MAXI(arvalid), read == read_request());
        check_same("AW", valid[1], top.MAXI(awvalid), write == write_request());
        check_same("W", valid[2], top.MAXI(wvalid), beat == write_beat());
        drive_ready();
        top.eval();
    }

    static void check_same(const char* channel, bool valid, bool valid_now, bool same_payload) {
        if (valid != valid_now || (valid && !same_payload))
            throw Violation(format("%s depends on a READY of the same cycle", channel));
    }

    static void check_request(const char* channel, const Request& request) {
        const uint64_t address = request.address;
        if (request.burst != 1)
            throw Violation(format("%sBURST must be INCR (1), not %u, at 0x%" PRIx64, channel, request.burst, address));
        if (request.size != BUS_SIZE)
            throw Violation(format("%sSIZE must be the bus's width (%u), not %u, at 0x%" PRIx64, channel, BUS_SIZE, request.size, address));
        if (address >> 12 != (request.end() - 1) >> 12)
            throw Violation(format("%s burst of %u beats at 0x%" PRIx64 " crosses a 4 KiB boundary", channel, request.length + 1, address));
    }

    static bool overlaps(const Request& one, const Request& other) {
        return one.first_byte() < other.end() && other.first_byte() < one.end();
    }

    void accept_read(const Request& request, uint64_t now) {
        check_request("AR", request);
        active = now;
        if (options.check_hazards)
            for (const auto& write : writes)
                if (overlaps(request, write.request))
                    throw Violation(format("read at 0x%" PRIx64 " while a write to the same place is under way", request.address));
        reads.push_back({request, now + options.read_latency + jitter(), 0, options.reorder && random.chance(32768), OKAY});
        Burst& read = reads.back();
        if (!read.early) return;
        read.data.resize(uint64_t{request.length + 1} * BUS_BYTES);
        for (uint32_t beat = 0; beat <= request.length; ++beat)
            copy_out(request.first_byte() + uint64_t{beat} * BUS_BYTES, read.data.data() + uint64_t{beat} * BUS_BYTES);
    }

    void accept_write(const Request& request, uint64_t now) {
        check_request("AW", request);
        if (options.check_hazards)
            for (const auto& other : reads)
                if (overlaps(request, other.request))
                    throw Violation(format("write at 0x%" PRIx64 " while a read of the same place is under way", request.address));
        writes.push_back({request, now + options.write_gap, 0, options.reorder && random.chance(32768), OKAY});
    }

    uint32_t response_at(uint64_t address, bool is_read) const {
        for (uint32_t i = 0; i < options.error_count; ++i) {
            const ErrorRange& range = options.errors[i];
            if (address < range.end && address + BUS_BYTES > range.start && (is_read ? range.reads : range.writes)) return range.response;
        }
        const uint64_t offset = address - options.base;
        return offset < options.size && offset + BUS_BYTES <= options.size ? OKAY : DECERR;
    }

    void copy_out(uint64_t address, uint8_t* data) const {
        const uint64_t offset = address - options.base;
        if (offset < options.size && offset + BUS_BYTES <= options.size)
            memcpy(data, options.memory + offset, BUS_BYTES);
        else
            memset(data, 0xad, BUS_BYTES);
    }

    // The burst to be served next: of those that are due the first, or, reordered, any that is the oldest of its ID.
    template <class Due> Burst* choose(std::vector<Burst>& bursts, Due due) {
        if (bursts.empty()) return nullptr;
        if (!options.reorder) return due(bursts.front()) ? &bursts.front() : nullptr;
        Burst* chosen = nullptr;
        uint32_t candidates = 0, seen = 0;
        for (Burst& burst : bursts) {
            const uint32_t id = 1u << (burst.request.id & 31);
            if (!(seen & id) && due(burst) && random.below(++candidates) == 0) chosen = &burst;
            seen |= id;
        }
        return chosen;
    }

    void drive_read_data(uint64_t now, bool resting) {
        if (sent.valid) return;
        Burst* burst = choose(reads, [&](auto& read) { return read.due <= now; });
        const bool paused = pause(stalls.read_data) || resting;
        if (burst && paused) ++counters.read_data.held_by_bench;
        sent.valid = burst && !paused;
        top.MAXI(rvalid) = sent.valid;
        if (!sent.valid) return;
        sent.index = static_cast<size_t>(burst - reads.data());
        const uint32_t code = response_at(burst->address(), true);
        uint8_t data[BUS_BYTES];
        if (code != OKAY)
            memset(data, 0xee, BUS_BYTES);
        else if (burst->early)
            memcpy(data, burst->data.data() + uint64_t{burst->beat} * BUS_BYTES, BUS_BYTES);
        else
            copy_out(burst->address(), data);
        memcpy(&top.MAXI(rdata), data, BUS_BYTES);
        GW_DRIVE(MAXI(rid), burst->request.id);
        GW_DRIVE(MAXI(rresp), code);
        GW_DRIVE(MAXI(rlast), burst->beat == burst->request.length);
    }

    void sample_read_data(uint64_t now) {
        if (!sent.valid) return;
        const bool taken = top.MAXI(rready);
        counters.read_data.transfers += taken;
        counters.read_data.held_by_machine += !taken;
        if (!taken) return;
        sent.valid = false;
        Burst& burst = reads[sent.index];
        if (++burst.beat <= burst.request.length) return;
        reads.erase(reads.begin() + static_cast<ptrdiff_t>(sent.index));
        if (options.serial && !reads.empty()) reads.front().due = std::max(reads.front().due, now + options.read_latency);
    }

    void sample_write_data(uint64_t now, bool valid) {
        const WriteBeat beat = write_beat();
        held.data.check("W", valid, ready.write_data, beat);
        if (!valid || !ready.write_data) return;
        Burst& write = writes[filling];
        const uint64_t address = write.address();
        const bool last = write.beat == write.request.length;
        if (beat.last != last)
            throw Violation(format("WLAST must be %u in beat %u of %u at 0x%" PRIx64, last, write.beat + 1, write.request.length + 1, address));
        const uint32_t skipped = write.beat ? 0 : static_cast<uint32_t>(write.request.address - address);
        if (beat.strobes & ((uint64_t{1} << skipped) - 1))
            throw Violation(format("WSTRB names bytes before the burst's address 0x%" PRIx64, write.request.address));
        write.response = std::max(write.response, response_at(address, false));
        if (write.early) {
            copy_in(address, beat.data, beat.strobes);
        } else {
            write.data.insert(write.data.end(), beat.data, beat.data + BUS_BYTES);
            write.strobes.push_back(beat.strobes);
        }
        ++write.beat;
        if (last) {
            write.due = now + options.write_latency + jitter();
            write_free = now + options.write_gap;
        }
        active = now;
    }

    void copy_in(uint64_t address, const uint8_t* data, uint32_t strobes) {
        if (response_at(address, false) != OKAY) return;
        uint8_t* place = options.memory + (address - options.base);
        for (unsigned i = 0; i < BUS_BYTES; ++i)
            if (strobes >> i & 1) place[i] = data[i];
    }

    void drive_write_response(uint64_t now) {
        if (response.valid) return;
        Burst* burst = choose(writes, [&](auto& write) { return write.complete() && write.due <= now; });
        const bool paused = pause(stalls.write_response);
        if (burst && paused) ++counters.write_response.held_by_bench;
        response.valid = burst && !paused;
        top.MAXI(bvalid) = response.valid;
        if (!response.valid) return;
        response.index = static_cast<size_t>(burst - writes.data());
        for (size_t beat = 0; beat < burst->strobes.size(); ++beat)
            copy_in(burst->request.first_byte() + beat * BUS_BYTES, burst->data.data() + beat * BUS_BYTES, burst->strobes[beat]);
        GW_DRIVE(MAXI(bid), burst->request.id);
        GW_DRIVE(MAXI(bresp), burst->response);
    }

    void sample_write_response() {
        if (!response.valid) return;
        const bool taken = top.MAXI(bready);
        counters.write_response.transfers += taken;
        counters.write_response.held_by_machine += !taken;
        if (!taken) return;
        response.valid = false;
        writes.erase(writes.begin() + static_cast<ptrdiff_t>(response.index));
    }

    struct Presented {
        bool valid = false;
        size_t index = 0;
    };

    Top& top;
    const BusOptions& options;
    Counters& counters;
    Random random;
    std::vector<Burst> reads, writes;
    size_t filling = 0;  // the write that takes the next beat
    uint64_t write_free = 0;  // cycle from which the next write may take data
    Presented sent, response;
    struct { uint32_t read, write; } waited{};  // cycles that the addresses at the pins have waited
    uint64_t active = 0;
    struct { bool read_address, write_address, write_data; } ready{};
    struct { Stall read_address, read_data, write_address, write_data, write_response; } stalls;
    struct { Held<Request> read, write; Held<WriteBeat> data; } held;
};
