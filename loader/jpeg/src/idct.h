/* As `jpeg_set_idct_method_selector` takes it: replaces libjpeg's inverse transform of a component by one of idct.c. */
void mixfeed_jpeg_select_idct(j_decompress_ptr jpeg, jpeg_component_info *component, jpeg_idct_method *method,
                              int *category);
