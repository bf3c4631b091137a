/* Runtime for machines made by Gatewright: load a program, run it, find its tensors.
 *
 * It knows no operating system. The caller supplies a `gw_bus`: how to reach registers, and the memory that host and
 * machine share. `gatewright_registers.h` and `gatewright_program.h` hold the numbers of one machine and one program.
 */
#ifndef GATEWRIGHT_H
#define GATEWRIGHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    void *context;                                               /* passed to the functions below */
    uint32_t (*read32)(void *context, uint32_t offset);          /* read a register */
    void (*write32)(void *context, uint32_t offset, uint32_t value);
    int (*wait_interrupt)(void *context);                        /* 1: the interrupt is active; 0: not within the time
                                                                    in which a machine that works shows progress */
    uint8_t *memory;                                             /* shared with the machine, uncached or coherent */
    uint64_t base;                                               /* address of memory[0] for the machine */
    uint64_t size;                                               /* bytes of memory */
} gw_bus;

typedef struct {
    uint64_t size;          /* bytes in memory */
    uint64_t image_offset;  /* where its initial contents begin in program.bin */
    uint64_t image_size;    /* bytes of initial contents */
} gw_region;

typedef struct {
    const char *name;
    uint32_t region;
    uint64_t offset;        /* bytes into the region */
    uint64_t size;          /* bytes in memory: row-major, little-endian integers */
    uint64_t dense_size;    /* bytes without gaps between rows */
    uint64_t row_bytes;     /* rows of so many bytes ... */
    uint64_t row_pitch;     /* ... lie so many bytes apart; 0 and 0: one after the other */
    double scale;           /* real value = (integer - zero_point) * scale; 0: not known */
    int32_t zero_point;
} gw_tensor;

typedef struct {
    uint32_t config_digest;
    uint32_t instruction_count;
    uint32_t region_count;
    const gw_region *regions;
    uint32_t input_count;
    const gw_tensor *inputs;
    uint32_t output_count;
    const gw_tensor *outputs;
} gw_program;

typedef enum {
    GW_OK = 0,
    GW_NOT_A_MACHINE,       /* ID or version is not the expected one */
    GW_OTHER_CONFIGURATION, /* the program was compiled for another machine */
    GW_TOO_LITTLE_MEMORY,   /* or, with 32-bit base registers, not all of it below 4 GiB */
    GW_MACHINE_ERROR,       /* STATUS.error_code says which */
    GW_NO_PROGRESS,
    GW_NO_RESET
} gw_status;

/* Check the machine, bring it to rest, copy the image into memory, and point the machine to it. */
gw_status gw_load(const gw_bus *bus, const gw_program *program, const uint8_t *image);

/* Run the loaded program once. Inputs are written before, outputs read after, with gw_put and gw_get. */
gw_status gw_run(const gw_bus *bus);

/* Stop whatever runs and return to the state before the first run. */
gw_status gw_reset(const gw_bus *bus);

/* Where a tensor lies in the shared memory. */
void *gw_data(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor);

/* Copy a tensor of `dense_size` bytes to and from the shared memory; gaps between rows are left alone. */
void gw_put(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor, const void *dense);
void gw_get(const gw_bus *bus, const gw_program *program, const gw_tensor *tensor, void *dense);

/* Cycles of the last run. */
uint64_t gw_cycles(const gw_bus *bus);

/* A short text for a status. */
const char *gw_text(gw_status status);

#ifdef __cplusplus
}
#endif

#endif
