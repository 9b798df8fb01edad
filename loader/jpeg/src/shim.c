/* The C half of shim.rs: one call decodes one part of one file.
 *
 * libjpeg reports errors by a function that must not return. It is here that the jump lands, so that no frame of Rust
 * is ever jumped over and nothing unwinds through C. Nothing is printed, no memory outlives the call, and nothing is
 * shared between calls.
 */

#include <limits.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Tells of the entropy decoder, which is replaced. */
#define JPEG_INTERNALS
#include "jpeglib.h"
#include "jerror.h"

#include "idct.h"

/* Rows that are asked of libjpeg at once; it gives as many as a row group has, 4 at most. */
#define ROWS 4

/* As `Coding` in huffman.rs. */
struct mixfeed_jpeg_coding {
  uint8_t component, dc, ac;
};

/* A baseline scan that is about to be read, as `Baseline` in shim.rs. */
struct mixfeed_jpeg_baseline {
  const uint8_t *data;
  size_t data_bytes;
  size_t blocks;
  struct mixfeed_jpeg_coding codings[D_MAX_BLOCKS_IN_MCU];
  /* Where they are: for lengths 0 to 16, and 256 values. */
  const uint8_t *dc_counts[NUM_HUFF_TBLS], *dc_values[NUM_HUFF_TBLS];
  const uint8_t *ac_counts[NUM_HUFF_TBLS], *ac_values[NUM_HUFF_TBLS];
};

/* As `Request` in shim.rs. */
struct mixfeed_jpeg_request {
  const uint8_t *file;
  size_t file_bytes;
  /* What the header was found to say; libjpeg has to read the same. */
  uint32_t width, height, components, holds_coefficients;
  /* 1, 2, 4 or 8. */
  uint32_t denominator;
  /* The part, in pixels of the scaled image, inside it and not empty. */
  uint32_t top, left, part_height, part_width;
  uint32_t max_scans;
  /* Blocks that scans may go over, of all of them together. */
  uint64_t max_blocks;
  /* Use idct.c where it could be done without, to compare. */
  uint32_t plain;
  size_t max_memory_bytes;
  /* huffman.rs: what it keeps, how it begins a scan, and how it decodes a group of blocks, or passes over it when there are
   * none. Both tell whether it could. Not used where `scan` is null.
   */
  void *scan;
  int (*begin_scan)(void *scan, const struct mixfeed_jpeg_baseline *baseline);
  int (*decode_group)(void *scan, JCOEF *const *blocks);
  /* 3 * part_height * part_width bytes. */
  uint8_t *out;
};

/* As `Status` in shim.rs. */
enum { OK, LIBRARY, CUT_SHORT, TOO_MANY_SCANS, NO_MEMORY, HEADER_DIFFERS, IRREGULAR };

struct decoder {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf landing;
  int status;
  uint32_t max_scans;
  uint64_t blocks_left;
  char *message;
  const struct mixfeed_jpeg_request *request;
  /* Which group of its row comes next. */
  JDIMENSION column;
};

/* Every manager that libjpeg hands back belongs to a decoder, which is the client's data. */
static struct decoder *of(j_common_ptr jpeg) { return (struct decoder *)jpeg->client_data; }

static void leave(j_common_ptr jpeg, int status) {
  of(jpeg)->status = status;
  longjmp(of(jpeg)->landing, 1);
}

static void error_exit(j_common_ptr jpeg) {
  int code = jpeg->err->msg_code;
  (*jpeg->err->format_message)(jpeg, of(jpeg)->message);
  leave(jpeg, code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE ? NO_MEMORY : LIBRARY);
}

/* Warnings are about damaged data, which libjpeg goes on after, as Pillow does. */
static void emit_message(j_common_ptr jpeg, int level) {
  if (level < 0) jpeg->err->num_warnings++;
}

static void output_message(j_common_ptr jpeg) { (void)jpeg; }

static void nothing(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean fill_input_buffer(j_decompress_ptr jpeg) {
  leave((j_common_ptr)jpeg, CUT_SHORT);
  return FALSE;
}

static void skip_input_data(j_decompress_ptr jpeg, long bytes) {
  if (bytes <= 0) return;
  if ((size_t)bytes > jpeg->src->bytes_in_buffer) leave((j_common_ptr)jpeg, CUT_SHORT);
  jpeg->src->next_input_byte += bytes;
  jpeg->src->bytes_in_buffer -= (size_t)bytes;
}

/* A scan of a few bytes may go over the whole image, so that a small file of many could take minutes. Called before each
 * row of blocks is read, and later for rows of pixels, which do not count.
 */
static void progress_monitor(j_common_ptr common) {
  j_decompress_ptr jpeg = (j_decompress_ptr)common;
  struct decoder *decoder = of(common);
  uint64_t blocks = 0;
  int i;
  if (!jpeg_has_multiple_scans(jpeg) || jpeg_input_complete(jpeg)) return;
  for (i = 0; i < jpeg->comps_in_scan; i++)
    blocks += (uint64_t)jpeg->cur_comp_info[i]->width_in_blocks * (unsigned)jpeg->cur_comp_info[i]->v_samp_factor;
  if (jpeg->input_scan_number > (int)decoder->max_scans || blocks > decoder->blocks_left)
    leave(common, TOO_MANY_SCANS);
  decoder->blocks_left -= blocks;
}

/* Not in libjpeg's headers for programs; gives 0 in builds without assembly and on CPUs that cannot run it. */
int jsimd_can_idct_islow(void);

int mixfeed_jpeg_simd(void) { return jsimd_can_idct_islow(); }

/* Tells whether the inverse transform is libjpeg-turbo's assembly for x86, which idct.c is like. */
static int is_x86(void) {
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
  return mixfeed_jpeg_simd();
#else
  return 0;
#endif
}

static unsigned multiply(unsigned a, unsigned b) {
  unsigned product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/* Pillow's CMYK to RGB, of inks that are stored inverted, as Adobe does and Pillow supposes of every file. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t pixels) {
  for (; pixels > 0; pixels--, cmyk += 4, rgb += 3) {
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(cmyk[3] - multiply(255u - cmyk[i], cmyk[3]));
  }
}

/* Tells whether blocks are smoothed, which libjpeg does where scans that refine them are missing. */
static int may_smooth(j_decompress_ptr jpeg) {
  if (!jpeg->progressive_mode || jpeg->coef_bits == NULL) return 0;
  for (int component = 0; component < jpeg->num_components; component++)
    for (int coefficient = 0; coefficient < DCTSIZE2; coefficient++)
      if (jpeg->coef_bits[component][coefficient] != 0) return 1;
  return 0;
}

/* Leaves out columns of blocks that no pixel of the part depends on. Where chroma is interpolated, a pixel depends on
 * its neighbours, so that one more is kept on either side; and it is not where fewer than two of its columns are left,
 * so that what remains of a block at the right edge is not decoded alone. Returns the first column that is decoded.
 */
static JDIMENSION crop(j_decompress_ptr jpeg, const struct mixfeed_jpeg_request *request) {
  JDIMENSION start = request->left > 0 ? request->left - 1 : 0;
  JDIMENSION end = request->left + request->part_width;
  JDIMENSION block = (JDIMENSION)(jpeg->max_h_samp_factor * jpeg->min_DCT_scaled_size);
  JDIMENSION width;
  if (end < jpeg->output_width) end++;
  start -= start % block;
  if (jpeg->output_width - start < block && start > 0) start -= block;
  end += (block - end % block) % block;
  if (end > jpeg->output_width) end = jpeg->output_width;
  width = end - start;
  jpeg_crop_scanline(jpeg, &start, &width);
  return start;
}

/* In place of libjpeg's: the next group of blocks. Of those beside the part, nothing is asked for. */
static boolean decode_group(j_decompress_ptr jpeg, JBLOCKROW *blocks) {
  struct decoder *decoder = of((j_common_ptr)jpeg);
  const struct mixfeed_jpeg_request *request = decoder->request;
  JDIMENSION column = decoder->column++;
  if (decoder->column == jpeg->MCUs_per_row) decoder->column = 0;
  if (column < jpeg->master->first_iMCU_col || column > jpeg->master->last_iMCU_col) blocks = NULL;
  if (!(*request->decode_group)(request->scan, (JCOEF *const *)blocks)) leave((j_common_ptr)jpeg, IRREGULAR);
  return TRUE;
}

/* Has huffman.rs decode the scan, if it is of the kind that it can. */
static void replace_entropy_decoder(j_decompress_ptr jpeg, const struct mixfeed_jpeg_request *request) {
  struct mixfeed_jpeg_baseline baseline;
  int i;
  if (request->scan == NULL || jpeg_has_multiple_scans(jpeg) || jpeg->progressive_mode || jpeg->arith_code ||
      jpeg->restart_interval != 0)
    return;
  memset(&baseline, 0, sizeof(baseline));
  baseline.data = jpeg->src->next_input_byte;
  baseline.data_bytes = jpeg->src->bytes_in_buffer;
  baseline.blocks = (size_t)jpeg->blocks_in_MCU;
  for (i = 0; i < jpeg->blocks_in_MCU; i++) {
    int component = jpeg->MCU_membership[i];
    baseline.codings[i].component = (uint8_t)component;
    baseline.codings[i].dc = (uint8_t)jpeg->cur_comp_info[component]->dc_tbl_no;
    baseline.codings[i].ac = (uint8_t)jpeg->cur_comp_info[component]->ac_tbl_no;
  }
  for (i = 0; i < NUM_HUFF_TBLS; i++) {
    const JHUFF_TBL *dc = jpeg->dc_huff_tbl_ptrs[i], *ac = jpeg->ac_huff_tbl_ptrs[i];
    if (dc != NULL) baseline.dc_counts[i] = dc->bits, baseline.dc_values[i] = dc->huffval;
    if (ac != NULL) baseline.ac_counts[i] = ac->bits, baseline.ac_values[i] = ac->huffval;
  }
  if (!(*request->begin_scan)(request->scan, &baseline)) leave((j_common_ptr)jpeg, IRREGULAR);
  jpeg->entropy->decode_mcu = decode_group;
}

static void decode(struct decoder *decoder, const struct mixfeed_jpeg_request *request) {
  j_decompress_ptr jpeg = &decoder->jpeg;
  size_t row_bytes = (size_t)request->part_width * 3, pixel_bytes;
  JDIMENSION done = 0, left = request->left;
  uint8_t *out = request->out;
  int direct;
  JSAMPROW rows[ROWS];
  JSAMPARRAY scratch = NULL;

  jpeg_read_header(jpeg, TRUE);
  if (jpeg->image_width != request->width || jpeg->image_height != request->height ||
      jpeg->num_components != (int)request->components ||
      jpeg_has_multiple_scans(jpeg) != (boolean)request->holds_coefficients)
    leave((j_common_ptr)jpeg, HEADER_DIFFERS);
  jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
  /* As they are by default; the pixels are what they are by these. */
  jpeg->dct_method = JDCT_ISLOW;
  jpeg->do_fancy_upsampling = TRUE;
  jpeg->do_block_smoothing = TRUE;
  jpeg->quantize_colors = FALSE;
  if (request->plain || !is_x86()) jpeg_set_idct_method_selector(jpeg, mixfeed_jpeg_select_idct);
  jpeg->scale_num = 1;
  jpeg->scale_denom = request->denominator;
  jpeg_start_decompress(jpeg);
  if (request->top + request->part_height > jpeg->output_height ||
      request->left + request->part_width > jpeg->output_width)
    leave((j_common_ptr)jpeg, HEADER_DIFFERS);
  replace_entropy_decoder(jpeg, request);

  if (may_smooth(jpeg)) {
    scratch = (*jpeg->mem->alloc_sarray)((j_common_ptr)jpeg, JPOOL_IMAGE,
                                         jpeg->output_width * (JDIMENSION)jpeg->output_components, ROWS);
    while (jpeg->output_scanline < request->top) jpeg_read_scanlines(jpeg, scratch, 1);
  } else {
    left -= crop(jpeg, request);
    if (request->top > 0) jpeg_skip_scanlines(jpeg, request->top);
  }
  pixel_bytes = (size_t)jpeg->output_components;
  direct = pixel_bytes == 3 && jpeg->output_width == request->part_width;
  if (!direct && scratch == NULL)
    scratch = (*jpeg->mem->alloc_sarray)((j_common_ptr)jpeg, JPOOL_IMAGE,
                                         jpeg->output_width * (JDIMENSION)jpeg->output_components, ROWS);

  while (done < request->part_height) {
    JDIMENSION wanted = request->part_height - done, got, row;
    if (wanted > ROWS) wanted = ROWS;
    for (row = 0; row < wanted; row++) rows[row] = direct ? out + row * row_bytes : scratch[row];
    got = jpeg_read_scanlines(jpeg, rows, wanted);
    if (got == 0) leave((j_common_ptr)jpeg, HEADER_DIFFERS);
    for (row = 0; row < got; row++, out += row_bytes) {
      const uint8_t *from = rows[row] + left * pixel_bytes;
      if (pixel_bytes == 4)
        cmyk_to_rgb(from, out, request->part_width);
      else if (!direct)
        memcpy(out, from, row_bytes);
    }
    done += got;
  }
}

/* Where the jump lands. The decoder is another frame's, so that what it holds is defined after the jump. */
static void attempt(struct decoder *decoder, const struct mixfeed_jpeg_request *request) {
  j_decompress_ptr jpeg = &decoder->jpeg;
  if (setjmp(decoder->landing) != 0) return;
  jpeg_create_decompress(jpeg);
  jpeg->mem->max_memory_to_use =
      request->max_memory_bytes < LONG_MAX ? (long)request->max_memory_bytes : LONG_MAX;
  decoder->source.next_input_byte = request->file;
  decoder->source.bytes_in_buffer = request->file_bytes;
  decoder->source.init_source = nothing;
  decoder->source.fill_input_buffer = fill_input_buffer;
  decoder->source.skip_input_data = skip_input_data;
  decoder->source.resync_to_restart = jpeg_resync_to_restart;
  decoder->source.term_source = nothing;
  jpeg->src = &decoder->source;
  decoder->progress.progress_monitor = progress_monitor;
  jpeg->progress = &decoder->progress;
  decode(decoder, request);
}

/* Decodes what is asked for. Gives `OK` and has then written all of `out`, or says what was wrong; in `message`, which
 * has JMSG_LENGTH_MAX bytes, libjpeg's words for `LIBRARY`.
 */
int mixfeed_jpeg_decode(const struct mixfeed_jpeg_request *request, char *message) {
  struct decoder decoder;
  memset(&decoder, 0, sizeof(decoder));
  decoder.max_scans = request->max_scans;
  decoder.blocks_left = request->max_blocks;
  decoder.message = message;
  decoder.request = request;
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.jpeg.client_data = &decoder;
  decoder.errors.error_exit = error_exit;
  decoder.errors.emit_message = emit_message;
  decoder.errors.output_message = output_message;
  attempt(&decoder, request);
  jpeg_destroy_decompress(&decoder.jpeg);
  return decoder.status;
}
