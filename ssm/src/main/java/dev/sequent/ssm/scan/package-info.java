/**
 * Scans: recurrences along time that state-space layers are made of, as fused operations.
 */
package dev.sequent.ssm.scan;
