/** The train and generate programs. */
package dev.sequent.examples;
