// The host on the machine's AXI4-Lite slave: one register access at a time, and the protocol's rules for what answers.

#pragma once
#include "axi.h"

template <class Top> class AxiLiteHost {
  public:
    AxiLiteHost(Top& top, const BusOptions& options, Counters& counters)
        : top{top}, options{options}, counters{counters}, random{options.seed * 2 + 2} {}

    void start_read(uint32_t offset) {
        address = offset;
        pending = {.read_address = true, .read_data = true};
    }

    void start_write(uint32_t offset, uint32_t value) {
        address = offset;
        data = value;
        pending = {.write_address = true, .write_data = true, .response = true};
    }

    bool busy() const { return pending.read_data || pending.response; }
    uint32_t answer() const { return result; }
    uint32_t answer_code() const { return code; }

    void drive() {
        drive_valid(top.SAXI(arvalid), pending.read_address, stalls.read_address, counters.lite_read_address);
        drive_valid(top.SAXI(awvalid), pending.write_address, stalls.write_address, counters.lite_write_address);
        drive_valid(top.SAXI(wvalid), pending.write_data, stalls.write_data, counters.lite_write_data);
        top.SAXI(araddr) = top.SAXI(awaddr) = static_cast<std::decay_t<decltype(top.SAXI(araddr))>>(address);
        top.SAXI(wdata) = data;
        GW_DRIVE(SAXI(wstrb), 0xf);
        top.SAXI(rready) = !pause(stalls.read_data);
        top.SAXI(bready) = !pause(stalls.response);
    }

    void sample() {
        const bool data_valid = top.SAXI(rvalid), response_valid = top.SAXI(bvalid);
        const uint64_t data_now = uint64_t{top.SAXI(rdata)} << 2 | GW_READ(SAXI(rresp), 0);
        held_data.check("(register) R", data_valid, top.SAXI(rready), data_now);
        held_response.check("(register) B", response_valid, top.SAXI(bready), GW_READ(SAXI(bresp), 0));
        if (data_valid && (!pending.read_data || pending.read_address))
            throw Violation("(register) RVALID without a read to answer");
        if (response_valid && (!pending.response || pending.write_address || pending.write_data))
            throw Violation("(register) BVALID without a write to answer");
        take(top.SAXI(arvalid), top.SAXI(arready), pending.read_address, counters.lite_read_address);
        take(top.SAXI(awvalid), top.SAXI(awready), pending.write_address, counters.lite_write_address);
        take(top.SAXI(wvalid), top.SAXI(wready), pending.write_data, counters.lite_write_data);
        if (answered(data_valid, top.SAXI(rready), counters.lite_read_data)) {
            pending.read_data = false;
            result = top.SAXI(rdata);
            code = static_cast<uint32_t>(GW_READ(SAXI(rresp), 0));
        }
        if (answered(response_valid, top.SAXI(bready), counters.lite_write_response)) {
            pending.response = false;
            code = static_cast<uint32_t>(GW_READ(SAXI(bresp), 0));
        }
        if (code == EXOKAY) throw Violation("(register) response must not be EXOKAY");
    }

    void check_silence() {
        if (top.SAXI(rvalid) || top.SAXI(bvalid)) throw Violation("(register) RVALID and BVALID must be low during reset");
    }

    void reset() {
        pending = {};
        held_data = {};
        held_response = {};
        top.SAXI(arvalid) = top.SAXI(awvalid) = top.SAXI(wvalid) = 0;
        top.SAXI(rready) = top.SAXI(bready) = 0;
        GW_DRIVE(SAXI(arprot), 0);
        GW_DRIVE(SAXI(awprot), 0);
    }

  private:
    bool pause(Stall& stall) { return options.stall && stall.now(random, options.stall); }

    // Once raised, VALID stays; a pause only delays its rise.
    void drive_valid(auto& valid, bool wanted, Stall& stall, Counter& counter) {
        if (!wanted || valid) {
            valid = wanted;
            return;
        }
        valid = !pause(stall);
        counter.held_by_bench += !valid;
    }

    static void take(bool valid, bool ready, bool& pending, Counter& counter) {
        counter.transfers += valid && ready;
        counter.held_by_machine += valid && !ready;
        if (valid && ready) pending = false;
    }

    static bool answered(bool valid, bool ready, Counter& counter) {
        counter.transfers += valid && ready;
        counter.held_by_bench += valid && !ready;
        return valid && ready;
    }

    Top& top;
    const BusOptions& options;
    Counters& counters;
    Random random;
    uint32_t address = 0, data = 0, result = 0, code = 0;
    struct { bool read_address, read_data, write_address, write_data, response; } pending{};
    struct { Stall read_address, read_data, write_address, write_data, response; } stalls;
    Held<uint64_t> held_data, held_response;
};
