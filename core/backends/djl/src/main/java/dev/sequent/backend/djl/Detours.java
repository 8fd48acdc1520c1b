package dev.sequent.backend.djl;

import static dev.sequent.spi.Detour.How.COMPOSED;
import static dev.sequent.spi.Detour.How.HOST;
import static dev.sequent.spi.Detour.How.REFUSED;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Detour;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The capability table: what DJL 0.35 with PyTorch 2.7 lacks or does differently, and what is done instead. */
final class Detours {
    private static final Set<DType> FLOATS = Set.of(DType.F64, DType.F32, DType.F16);
    private static final Set<DType> SINGLE = Set.of(DType.F32, DType.F16);
    private static final Set<DType> DOUBLE = Set.of(DType.F64);
    private static final Set<DType> INTEGERS = Set.of(DType.I64, DType.I32);

    private Detours() {}

    static List<Detour> all() {
        List<Detour> all = new ArrayList<>();
        all.add(new Detour("every operation", Set.of(DType.BF16), REFUSED,
                "DJL cannot name the type, and trying to convert to it ends the process"));
        all.add(new Detour("randomUniform", Types.SUPPORTED, HOST,
                "PyTorch's generator is another one than ours, and DJL has no bit operations"));
        all.add(unary(UnaryOp.SIGN, FLOATS, COMPOSED, "PyTorch's sign of NaN is 0: a choice by x == x"));
        all.add(unary(UnaryOp.SQRT, SINGLE, COMPOSED, "MKL's F32 root is not always the nearest number: the root in F64, rounded"));
        all.add(unary(UnaryOp.SQRT, DOUBLE, HOST, "MKL's F64 root is not always the nearest number"));
        all.add(unary(UnaryOp.ERF, DOUBLE, HOST, "MKL's F64 function is off by more than the contract allows"));
        all.add(unary(UnaryOp.RSQRT, FLOATS, COMPOSED, "missing: 1 / sqrt(x)"));
        all.add(unary(UnaryOp.RECIPROCAL, FLOATS, COMPOSED, "missing: 1 / x"));
        all.add(unary(UnaryOp.EXPM1, FLOATS, COMPOSED, "missing: tanh(x / 2) (e^x + 1)"));
        all.add(unary(UnaryOp.LOG1P, FLOATS, COMPOSED, "missing: Kahan's log(u) x / (u - 1) with u = 1 + x"));
        all.add(unary(UnaryOp.SOFTPLUS, DOUBLE, COMPOSED, "PyTorch's is x above 20: max(x, 0) + log1p(e^-|x|)"));
        all.add(unary(UnaryOp.SILU, FLOATS, COMPOSED, "missing: x sigmoid(x)"));
        all.add(unary(UnaryOp.GELU, FLOATS, COMPOSED, "PyTorch's F32 function of infinity is NaN: x (1 + erf(x / sqrt 2)) / 2"));
        all.add(unary(UnaryOp.GELU_TANH, FLOATS, COMPOSED, "missing: its formula"));
        all.add(new Detour("binary " + BinaryOp.MOD, FLOATS, COMPOSED,
                "PyTorch's remainder by an infinity is not NaN: a - b floor(a / b)"));
        all.add(new Detour("binary " + BinaryOp.DIV, INTEGERS, HOST, "PyTorch divides integers as floats"));
        all.add(new Detour("binary " + BinaryOp.MOD, INTEGERS, HOST, "PyTorch fails for a divisor of 0"));
        all.add(new Detour("binary " + BinaryOp.POW, INTEGERS, HOST, "PyTorch fails for negative exponents"));
        all.add(new Detour("reduce " + ReduceOp.SUM, FLOATS, COMPOSED,
                "of a whole tensor only: in runs of fixed length, so that the number of threads changes no bit"));
        for (ReduceOp op : new ReduceOp[] {ReduceOp.PROD, ReduceOp.MAX, ReduceOp.MIN}) {
            all.add(new Detour("reduce " + op, Types.SUPPORTED, COMPOSED, "along several axes: one axis after the other"));
        }
        for (ReduceOp op : new ReduceOp[] {ReduceOp.MAX, ReduceOp.MIN}) {
            all.add(new Detour("scan " + op, Types.SUPPORTED, COMPOSED, "missing: extremes of pairs at distances 1, 2, 4, ..."));
        }
        all.add(new Detour("scatterAdd", Types.SUPPORTED, HOST, "DJL's scatter replaces and does not add"));
        all.add(new Detour("indexAdd", Types.SUPPORTED, HOST, "missing"));
        all.add(new Detour("topK", Types.SUPPORTED, HOST, "PyTorch leaves the order of equal elements open"));
        return List.copyOf(all);
    }

    private static Detour unary(UnaryOp op, Set<DType> dtypes, Detour.How how, String reason) {
        return new Detour("unary " + op, dtypes, how, reason);
    }
}
