package dev.sequent.type;

/**
 * Element type of a tensor: how one element is stored.
 *
 * <p>Storage is separate from computation: a backend may store {@link #BF16} or {@link #F16} and compute in F32, and it
 * states what it supports in its capabilities. Names in checkpoints (safetensors) are the constants' names.
 */
public enum DType {
    F64(8, Kind.FLOAT), F32(4, Kind.FLOAT), F16(2, Kind.FLOAT), BF16(2, Kind.FLOAT),
    I64(8, Kind.INTEGER), I32(4, Kind.INTEGER), BOOL(1, Kind.BOOLEAN);

    /** Family of an element type: what arithmetic makes sense on it. */
    public enum Kind { FLOAT, INTEGER, BOOLEAN }

    private final int bytes;
    private final Kind kind;

    DType(int bytes, Kind kind) {
        this.bytes = bytes;
        this.kind = kind;
    }

    /** Bytes per element. */
    public int bytes() {
        return bytes;
    }

    /** Family of this type. */
    public Kind kind() {
        return kind;
    }

    /** True for F64, F32, F16 and BF16: the types that carry gradients. */
    public boolean isFloat() {
        return kind == Kind.FLOAT;
    }

    /** True for I64 and I32. */
    public boolean isInteger() {
        return kind == Kind.INTEGER;
    }
}
