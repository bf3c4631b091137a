// Noise for what a design leaves open. Verilator draws from the seed and a number of each variable: every word of a
// memory would start alike. Mixing in how many were drawn before gives each its own.

#pragma once

inline thread_local uint64_t gw_drawn = 0;  // set to 0 before a model is made, so that its noise depends on the seed

#define GW_SALT(salt) ((salt) ^ (++gw_drawn * 0x9e3779b97f4a7c15ull))
#define VL_SCOPED_RAND_RESET_I(bits, scope, salt) VL_SCOPED_RAND_RESET_I(bits, scope, GW_SALT(salt))
#define VL_SCOPED_RAND_RESET_Q(bits, scope, salt) VL_SCOPED_RAND_RESET_Q(bits, scope, GW_SALT(salt))
#define VL_SCOPED_RAND_RESET_W(bits, out, scope, salt) VL_SCOPED_RAND_RESET_W(bits, out, scope, GW_SALT(salt))
