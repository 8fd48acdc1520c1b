/** The ND4J backend. */
package dev.sequent.backend.nd4j;
