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
        drive_valid(top.s_axi_arvalid, pending.read_address, stalls.read_address, counters.lite_read_address);
        drive_valid(top.s_axi_awvalid, pending.write_address, stalls.write_address, counters.lite_write_address);
        drive_valid(top.s_axi_wvalid, pending.write_data, stalls.write_data, counters.lite_write_data);
        top.s_axi_araddr = top.s_axi_awaddr = static_cast<std::decay_t<decltype(top.s_axi_araddr)>>(address);
        top.s_axi_wdata = data;
        GW_DRIVE(s_axi_wstrb, 0xf);
        top.s_axi_rready = !pause(stalls.read_data);
        top.s_axi_bready = !pause(stalls.response);
    }

    void sample() {
        const bool data_valid = top.s_axi_rvalid, response_valid = top.s_axi_bvalid;
        const uint64_t data_now = uint64_t{top.s_axi_rdata} << 2 | GW_READ(s_axi_rresp, 0);
        held_data.check("(register) R", data_valid, top.s_axi_rready, data_now);
        held_response.check("(register) B", response_valid, top.s_axi_bready, GW_READ(s_axi_bresp, 0));
        if (data_valid && (!pending.read_data || pending.read_address))
            throw Violation("(register) RVALID without a read to answer");
        if (response_valid && (!pending.response || pending.write_address || pending.write_data))
            throw Violation("(register) BVALID without a write to answer");
        take(top.s_axi_arvalid, top.s_axi_arready, pending.read_address, counters.lite_read_address);
        take(top.s_axi_awvalid, top.s_axi_awready, pending.write_address, counters.lite_write_address);
        take(top.s_axi_wvalid, top.s_axi_wready, pending.write_data, counters.lite_write_data);
        if (answered(data_valid, top.s_axi_rready, counters.lite_read_data)) {
            pending.read_data = false;
            result = top.s_axi_rdata;
            code = static_cast<uint32_t>(GW_READ(s_axi_rresp, 0));
        }
        if (answered(response_valid, top.s_axi_bready, counters.lite_write_response)) {
            pending.response = false;
            code = static_cast<uint32_t>(GW_READ(s_axi_bresp, 0));
        }
        if (code == EXOKAY) throw Violation("(register) response must not be EXOKAY");
    }

    void check_silence() {
        if (top.s_axi_rvalid || top.s_axi_bvalid) throw Violation("(register) RVALID and BVALID must be low during reset");
    }

    void reset() {
        pending = {};
        held_data = {};
        held_response = {};
        top.s_axi_arvalid = top.s_axi_awvalid = top.s_axi_wvalid = 0;
        top.s_axi_rready = top.s_axi_bready = 0;
        GW_DRIVE(s_axi_arprot, 0);
        GW_DRIVE(s_axi_awprot, 0);
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
