/* Runtime for machines made by Gatewright; see gatewright.h for the contract. */
#include "gatewright.h"

#include <string.h>

#include "gatewright_registers.h"

#define REGION_ALIGNMENT 4096u
#define RESET_POLLS 100000u
static uint32_t read_register(const gw_bus *bus, uint32_t offset) { return bus->read32(bus->context, offset); }

static void write_register(const gw_bus *bus, uint32_t offset, uint32_t value) {
    bus->write32(bus->context, offset, value);
}

/* Orders. They differ between the machine's own register map and those of NNgen. */
#ifdef GW_CONTROL

#define EVENTS (GW_IRQ_STATUS_DONE_MASK | GW_IRQ_STATUS_ERROR_MASK)

static int is_reachable(const gw_bus *bus) { return bus->size != 0; }

static void place_region(const gw_bus *bus, uint32_t index, uint64_t offset) {
    const uint64_t address = bus->base + offset;
    write_register(bus, GW_REGION_BASE_LO + index * GW_REGION_BASE_LO_STRIDE, (uint32_t)address);
    write_register(bus, GW_REGION_BASE_HI + index * GW_REGION_BASE_HI_STRIDE, (uint32_t)(address >> 32));
}

static void prepare(const gw_bus *bus, const gw_program *program) {
    write_register(bus, GW_PROGRAM_LENGTH, program->instruction_count);
    write_register(bus, GW_IRQ_ENABLE, EVENTS);
}

static void start(const gw_bus *bus) { write_register(bus, GW_CONTROL, GW_CONTROL_START_MASK); }
static void order_reset(const gw_bus *bus) { write_register(bus, GW_CONTROL, GW_CONTROL_RESET_MASK); }
static void acknowledge(const gw_bus *bus) { write_register(bus, GW_IRQ_STATUS, EVENTS); }
static int wait_for_end(const gw_bus *bus) { return bus->wait_interrupt(bus->context); }

#else

#define BUSY_POLLS 10000u

static int is_reachable(const gw_bus *bus) { return bus->base + bus->size <= (uint64_t)1 << 32; }

static void place_region(const gw_bus *bus, uint32_t index, uint64_t offset) {
    write_register(bus, GW_BASE + index * GW_BASE_STRIDE, (uint32_t)offset);
}

static void prepare(const gw_bus *bus, const gw_program *program) {
    (void)program;
    write_register(bus, GW_GLOBAL_OFFSET, (uint32_t)bus->base);
#ifdef GW_IER
    write_register(bus, GW_IER, GW_IER_BUSY_MASK);
#endif
}

static void start(const gw_bus *bus) { write_register(bus, GW_START, 1); }
static void order_reset(const gw_bus *bus) { write_register(bus, GW_RESET, 1); }

static void acknowledge(const gw_bus *bus) {
#ifdef GW_IAR
    write_register(bus, GW_IAR, GW_IAR_BUSY_MASK | GW_IAR_EXTERN_MASK);
#else
    (void)bus;
#endif
}

static int wait_for_end(const gw_bus *bus) {
#ifdef GW_IER
    return bus->wait_interrupt(bus->context);
#else
    for (uint32_t i = 0; i < BUSY_POLLS; i++)
        if (read_register(bus, GW_BUSY) == 0)
            return 1;
    return 0;
#endif
}

#endif

/* Offset in memory of region `index`; of the first one after the last: the memory needed. */
static uint64_t place(const gw_program *program, uint32_t index) {
    uint64_t offset = 0;
    for (uint32_t i = 0; i < index; i++)
        offset += (program->regions[i].size + REGION_ALIGNMENT - 1) / REGION_ALIGNMENT * REGION_ALIGNMENT;
    return offset;
}

static gw_status check_machine(const gw_bus *bus, const gw_program *program) {
    if (read_register(bus, GW_ID) != GW_ID_VALUE || read_register(bus, GW_VERSION) >> 16 != GW_VERSION_VALUE >> 16)
        return GW_NOT_A_MACHINE;
    return read_register(bus, GW_CONFIG_DIGEST) == program->config_digest ? GW_OK : GW_OTHER_CONFIGURATION;
}

gw_status gw_load(const gw_bus *bus, const gw_program *program, const uint8_t *image) {
    gw_status status = check_machine(bus, program);
    if (status == GW_OK && (place(program, program->region_count) > bus->size || !is_reachable(bus)))
        status = GW_TOO_LITTLE_MEMORY;
    if (status == GW_OK && read_register(bus, GW_STATUS) != 0)
        status = gw_reset(bus);
    if (status != GW_OK)
        return status;
    for (uint32_t i = 0; i < program->region_count; i++) {
        const gw_region *region = &program->regions[i];
        const uint64_t offset = place(program, i);
        memcpy(bus->memory + offset, image + region->image_offset, region->image_size);
        place_region(bus, i, offset);
    }
    prepare(bus, program);
    return GW_OK;
}

/* A number that changes as long as the machine gets on with its program. */
static uint32_t activity(const gw_bus *bus) {
    uint32_t sum = read_register(bus, GW_READ_BEATS) + read_register(bus, GW_WRITE_BEATS);
    for (uint32_t i = 0; i < GW_COMPLETED_ELEMENTS; i++)
        sum += read_register(bus, GW_COMPLETED + i * GW_COMPLETED_STRIDE);
    return sum + read_register(bus, GW_COMPUTE_BUSY);
}

gw_status gw_run(const gw_bus *bus) {
    uint32_t before = ~0u;
    acknowledge(bus);
    start(bus);
    while (!wait_for_end(bus)) {
        const uint32_t now = activity(bus);
        if (now == before)
            return GW_NO_PROGRESS;
        before = now;
    }
    const uint32_t status = read_register(bus, GW_STATUS);
    acknowledge(bus);
    return status & GW_STATUS_ERROR_MASK ? GW_MACHINE_ERROR : GW_OK;
}

gw_status gw_reset(const gw_bus *bus) {
    order_reset(bus);
    for (uint32_t i = 0; i < RESET_POLLS; i++)
        if (read_register(bus, GW_STATUS) == 0)
            return GW_OK;
    return GW_NO_RESET;
}

void *gw_data(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor) {
    return bus->memory + place(program, tensor->region) + tensor->offset;
}

/* Bytes that lie one after the other. */
static uint64_t row_bytes(const gw_tensor *tensor) { return tensor->row_bytes ? tensor->row_bytes : tensor->dense_size; }

void gw_put(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor, const void *dense) {
    uint8_t *to = gw_data(bus, program, tensor);
    const uint8_t *from = dense;
    for (uint64_t done = 0; done < tensor->dense_size; done += row_bytes(tensor), to += tensor->row_pitch)
        memcpy(to, from + done, row_bytes(tensor));
}

void gw_get(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor, void *dense) {
    const uint8_t *from = gw_data(bus, program, tensor);
    uint8_t *to = dense;
    for (uint64_t done = 0; done < tensor->dense_size; done += row_bytes(tensor), from += tensor->row_pitch)
        memcpy(to + done, from, row_bytes(tensor));
}

uint64_t gw_cycles(const gw_bus *bus) {
    uint32_t high, low;
    do {
        high = read_register(bus, GW_CYCLES_HI);
        low = read_register(bus, GW_CYCLES_LO);
    } while (read_register(bus, GW_CYCLES_HI) != high);
    return (uint64_t)high << 32 | low;
}

const char *gw_text(gw_status status) {
    static const char *const texts[] = {
        "no error",
        "there is no such machine on the bus",
        "the program was compiled for another configuration of the machine",
        "the shared memory is too small for the program",
        "the machine stopped with an error",
        "the machine makes no progress",
        "the machine does not come out of reset",
    };
    return (unsigned)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}
