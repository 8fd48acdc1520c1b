/** Matrix products of the CPU backend through oneDNN, called with {@code java.lang.foreign}. */
package dev.sequent.onednn;
