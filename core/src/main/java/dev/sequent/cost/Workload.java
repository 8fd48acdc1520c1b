package dev.sequent.cost;

import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;

/**
 * What is computed.
 *
 * @param pass which pass
 * @param batch B: rows
 * @param time T: tokens per row
 * @param context tokens that each row has seen before; only states and caches remember them
 * @param dtype element type of activations and parameters
 */
public record Workload(Pass pass, long batch, long time, long context, DType dtype) {
    /** The direction of a computation. */
    public enum Pass {
        /** Results from inputs. */
        FORWARD,
        /** Gradients of inputs and parameters from gradients of results, the forward pass not included. */
        BACKWARD
    }

    /** Checks the sizes. */
    public Workload {
        if (batch < 1 || time < 1 || context < 0 || !dtype.isFloat()) {
            throw new ConfigException("workload", "batch >= 1, time >= 1, context >= 0 and a float dtype",
                    "batch " + batch + ", time " + time + ", context " + context + ", " + dtype);
        }
    }

    /** The forward pass over whole sequences. */
    public static Workload forward(long batch, long time, DType dtype) {
        return new Workload(Pass.FORWARD, batch, time, 0, dtype);
    }

    /** The backward pass over whole sequences. */
    public static Workload backward(long batch, long time, DType dtype) {
        return new Workload(Pass.BACKWARD, batch, time, 0, dtype);
    }

    /** One further token per row after {@code context} tokens. */
    public static Workload decode(long batch, long context, DType dtype) {
        return new Workload(Pass.FORWARD, batch, 1, context, dtype);
    }

    /** B T: tokens in all. */
    public double tokens() {
        return (double) batch * time;
    }

    /** Whether this is the forward pass. */
    public boolean isForward() {
        return pass == Pass.FORWARD;
    }

    /** Bytes of an element. */
    public int elementBytes() {
        return dtype.bytes();
    }

    /**
     * Pairs of a token and a token that it sees, in all rows: itself, the tokens before it, and the context.
     *
     * @param window how many tokens, itself included, a token sees at most; 0 for all
     */
    public double pairs(long window) {
        double all = batch * (time * (double) context + time * (time + 1.0) / 2);
        if (window == 0 || context + time <= window) {
            return all;
        }
        // tokens that still see everything, the first of which sees context + 1
        double growing = Math.max(0, Math.min(time, window - context));
        return batch * (growing * context + growing * (growing + 1) / 2 + (time - growing) * window);
    }
}
