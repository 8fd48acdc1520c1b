/** Hugging Face {@code tokenizer.json} files. */
package dev.sequent.tokenizers;
