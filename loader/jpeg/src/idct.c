/* The inverse transforms of libjpeg-turbo's assembly for x86, in C.
 *
 * libjpeg-turbo's own C computes in 32 bits or more what its assembly computes in 16. Of images that an encoder made,
 * both give the same pixels; of damaged ones they do not, and a batch would depend on the machine that made it. So it is
 * this that runs where that assembly is missing: the same operations, with the same overflow, in loops that compilers turn
 * into SIMD instructions. Sizes are those that scales of 1, 1/2, 1/4 and 1/8 need.
 *
 * Numbers wrap round at their size here, in 16 bits by conversion and in 32 because they are unsigned.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Tells the types of tables, too. */
#define JPEG_INTERNALS
#include "jpeglib.h"
#include "jdct.h"

#include "idct.h"

/* Constants are times 1 << 13; between the two passes values are times 1 << 2. */
#define CONSTANT_BITS 13
#define BETWEEN_BITS 2

#define LANES DCTSIZE

static uint32_t times(int16_t value, int16_t constant) {
  return (uint32_t)((int32_t)value * (int32_t)constant);
}

static uint32_t shifted(int16_t value, int bits) { return (uint32_t)(int32_t)value << bits; }

static int32_t rounded(uint32_t value, int bits) { return (int32_t)(value + (1u << (bits - 1))) >> bits; }

static int16_t to_16(int32_t value) {
  return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

static JSAMPLE to_sample(int32_t value) {
  return (JSAMPLE)((value > 127 ? 127 : value < -128 ? -128 : value) + 128);
}

static void dequantize(const jpeg_component_info *component, const JCOEF *block, int16_t out[DCTSIZE][LANES]) {
  const ISLOW_MULT_TYPE *factors = (const ISLOW_MULT_TYPE *)component->dct_table;
  int row, lane;
  for (row = 0; row < DCTSIZE; row++, block += LANES, factors += LANES)
    for (lane = 0; lane < LANES; lane++) out[row][lane] = (int16_t)((uint16_t)block[lane] * (uint32_t)(uint16_t)factors[lane]);
}

/* Tells whether all coefficients are zero in these rows. */
static int is_zero(const JCOEF *block, int from, int to) {
  int i;
  JCOEF any = 0;
  for (i = from * DCTSIZE; i < to * DCTSIZE; i++) any |= block[i];
  return any == 0;
}

/* What the first pass makes of a block with a first row only. */
static void spread(int16_t rows[][LANES], int count) {
  int row, lane;
  for (lane = 0; lane < LANES; lane++) rows[0][lane] = (int16_t)((uint32_t)rows[0][lane] << BETWEEN_BITS);
  for (row = 1; row < count; row++) memcpy(rows[row], rows[0], sizeof(rows[0]));
}

static void transpose(int16_t rows[DCTSIZE][LANES]) {
  int16_t from[DCTSIZE][LANES];
  int row, column;
  memcpy(from, rows, sizeof(from));
  for (row = 0; row < DCTSIZE; row++)
    for (column = 0; column < LANES; column++) rows[row][column] = from[column][row];
}

/* One pass of the transform of Loeffler, Ligtenberg and Moschytz over each lane, in place. */
static void pass_8(int16_t in[DCTSIZE][LANES], int bits) {
  int i;
  for (i = 0; i < LANES; i++) {
    int16_t sum = (int16_t)(in[0][i] + in[4][i]), difference = (int16_t)(in[0][i] - in[4][i]);
    int16_t z3 = (int16_t)(in[3][i] + in[7][i]), z4 = (int16_t)(in[1][i] + in[5][i]);
    uint32_t even2 = times(in[2][i], 4433) + times(in[6][i], 4433 - 15137);
    uint32_t even3 = times(in[2][i], 4433 + 6270) + times(in[6][i], 4433);
    uint32_t even0 = shifted(sum, CONSTANT_BITS), even1 = shifted(difference, CONSTANT_BITS);
    uint32_t odd_z3 = times(z3, 9633 - 16069) + times(z4, 9633);
    uint32_t odd_z4 = times(z3, 9633) + times(z4, 9633 - 3196);
    uint32_t odd0 = times(in[7][i], 2446 - 7373) + times(in[1][i], -7373) + odd_z3;
    uint32_t odd1 = times(in[5][i], 16819 - 20995) + times(in[3][i], -20995) + odd_z4;
    uint32_t odd2 = times(in[5][i], -20995) + times(in[3][i], 25172 - 20995) + odd_z3;
    uint32_t odd3 = times(in[7][i], -7373) + times(in[1][i], 12299 - 7373) + odd_z4;
    in[0][i] = to_16(rounded(even0 + even3 + odd3, bits));
    in[7][i] = to_16(rounded(even0 + even3 - odd3, bits));
    in[1][i] = to_16(rounded(even1 + even2 + odd2, bits));
    in[6][i] = to_16(rounded(even1 + even2 - odd2, bits));
    in[2][i] = to_16(rounded(even1 - even2 + odd1, bits));
    in[5][i] = to_16(rounded(even1 - even2 - odd1, bits));
    in[3][i] = to_16(rounded(even0 - even3 + odd0, bits));
    in[4][i] = to_16(rounded(even0 - even3 - odd0, bits));
  }
}

static void idct_8(j_decompress_ptr jpeg, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY out,
                   JDIMENSION column) {
  int16_t work[DCTSIZE][LANES];
  int x, y;
  (void)jpeg;
  dequantize(component, block, work);
  if (is_zero(block, 1, 8))
    spread(work, DCTSIZE);
  else
    pass_8(work, CONSTANT_BITS - BETWEEN_BITS);
  transpose(work);
  pass_8(work, CONSTANT_BITS + BETWEEN_BITS + 3);
  for (y = 0; y < 8; y++)
    for (x = 0; x < 8; x++) out[y][column + x] = to_sample(work[x][y]);
}

/* One pass to half the size, in place: the results are the first four rows. */
static void pass_4(int16_t in[DCTSIZE][LANES], int bits) {
  int i;
  for (i = 0; i < LANES; i++) {
    uint32_t odd0 = times(in[1][i], 8697) + times(in[3][i], -17799) + times(in[5][i], 11893) + times(in[7][i], -1730);
    uint32_t odd2 = times(in[1][i], 20995) + times(in[3][i], 7373) + times(in[5][i], -4926) + times(in[7][i], -4176);
    uint32_t even0 = shifted(in[0][i], CONSTANT_BITS + 1);
    uint32_t even2 = times(in[2][i], 15137) + times(in[6][i], -6270);
    in[0][i] = to_16(rounded(even0 + even2 + odd2, bits));
    in[3][i] = to_16(rounded(even0 + even2 - odd2, bits));
    in[1][i] = to_16(rounded(even0 - even2 + odd0, bits));
    in[2][i] = to_16(rounded(even0 - even2 - odd0, bits));
  }
}

static void idct_4(j_decompress_ptr jpeg, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY out,
                   JDIMENSION column) {
  int16_t work[DCTSIZE][LANES];
  int x, y;
  (void)jpeg;
  dequantize(component, block, work);
  if (is_zero(block, 1, 4) && is_zero(block, 5, 8))
    spread(work, 4);
  else
    pass_4(work, CONSTANT_BITS - BETWEEN_BITS + 1);
  transpose(work);
  pass_4(work, CONSTANT_BITS + BETWEEN_BITS + 3 + 1);
  for (y = 0; y < 4; y++)
    for (x = 0; x < 4; x++) out[y][column + x] = to_sample(work[x][y]);
}

static uint32_t odd_2(int16_t a, int16_t b, int16_t c, int16_t d) {
  return times(a, 29692) + times(b, -10426) + times(c, 6967) + times(d, -5906);
}

static void idct_2(j_decompress_ptr jpeg, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY out,
                   JDIMENSION column) {
  const int first = CONSTANT_BITS - BETWEEN_BITS + 2, second = CONSTANT_BITS + BETWEEN_BITS + 3 + 2;
  int16_t in[DCTSIZE][LANES];
  int32_t rows[2][LANES];
  int i;
  (void)jpeg;
  dequantize(component, block, in);
  for (i = 0; i < LANES; i++) {
    uint32_t even = shifted(in[0][i], CONSTANT_BITS + 2), odd = odd_2(in[1][i], in[3][i], in[5][i], in[7][i]);
    rows[0][i] = rounded(even + odd, first);
    rows[1][i] = rounded(even - odd, first);
  }
  for (i = 0; i < 2; i++) {
    /* The first column alone is kept in 32 bits. */
    const int32_t *row = rows[i];
    uint32_t even = (uint32_t)row[0] << (CONSTANT_BITS + 2);
    uint32_t odd = odd_2(to_16(row[1]), to_16(row[3]), to_16(row[5]), to_16(row[7]));
    out[i][column] = to_sample(rounded(even + odd, second));
    out[i][column + 1] = to_sample(rounded(even - odd, second));
  }
}

/* Not assembly there either, but with factors of 16 bits. */
static void idct_1(j_decompress_ptr jpeg, jpeg_component_info *component, JCOEFPTR block, JSAMPARRAY out,
                   JDIMENSION column) {
  int32_t value = (int32_t)block[0] * (int16_t)((const ISLOW_MULT_TYPE *)component->dct_table)[0];
  out[0][column] = IDCT_range_limit(jpeg)[rounded((uint32_t)value, 3) & RANGE_MASK];
}

void mixfeed_jpeg_select_idct(j_decompress_ptr jpeg, jpeg_component_info *component, jpeg_idct_method *method,
                              int *category) {
  (void)jpeg;
  (void)category;
  switch (component->DCT_scaled_size) {
    case 1: *method = idct_1; break;
    case 2: *method = idct_2; break;
    case 4: *method = idct_4; break;
    case 8: *method = idct_8; break;
    default: break;
  }
}
