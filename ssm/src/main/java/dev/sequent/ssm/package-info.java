/** State-space sequence mixers. */
package dev.sequent.ssm;
