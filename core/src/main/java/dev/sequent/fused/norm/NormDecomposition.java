package dev.sequent.fused.norm;

import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;

/** Normalisation in tensor operations: runs on every backend and is what kernels are compared with. F16 and BF16 are normalised in F32. */
final class NormDecomposition {
    private NormDecomposition() {}

    static Tensor rms(Tensor x, Tensor weight, double eps) {
        Tensor wide = widen(x);
        Tensor z = wide.mul(wide.square().reduce(ReduceOp.SUM, true, -1).div(x.dim(-1)).add(eps).rsqrt());
        return z.cast(x.dtype()).mul(weight);
    }

    static Tensor layer(Tensor x, Tensor weight, Tensor bias, double eps) {
        Tensor wide = widen(x);
        Tensor centred = wide.sub(wide.reduce(ReduceOp.SUM, true, -1).div(x.dim(-1)));
        Tensor variance = centred.square().reduce(ReduceOp.SUM, true, -1).div(x.dim(-1));
        Tensor y = centred.mul(variance.add(eps).rsqrt()).cast(x.dtype()).mul(weight);
        return bias == null ? y : y.add(bias);
    }

    private static Tensor widen(Tensor x) {
        return x.dtype() == DType.F16 || x.dtype() == DType.BF16 ? x.cast(DType.F32) : x;
    }
}
