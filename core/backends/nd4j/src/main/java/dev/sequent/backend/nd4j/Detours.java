package dev.sequent.backend.nd4j;

import static dev.sequent.spi.Detour.How.COMPOSED;
import static dev.sequent.spi.Detour.How.HOST;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Detour;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** The capability table: what ND4J 1.0.0-M2.1 lacks or does differently, or is not asked to do, and what is done instead. */
final class Detours {
    private static final Set<DType> ALL = EnumSet.allOf(DType.class);
    private static final Set<DType> FLOATS = Set.of(DType.F64, DType.F32, DType.F16, DType.BF16);
    private static final Set<DType> INTEGERS = Set.of(DType.I64, DType.I32);
    private static final Set<DType> BOOLEANS = Set.of(DType.BOOL);

    private final List<Detour> all = new ArrayList<>();

    private Detours() {}

    static List<Detour> all() {
        Detours detours = new Detours();
        detours.unary();
        detours.binary();
        detours.reductions();
        detours.others();
        return List.copyOf(detours.all);
    }

    private void unary() {
        String exact = "exact modulo the type's range";
        for (UnaryOp op : new UnaryOp[] {UnaryOp.NEG, UnaryOp.ABS, UnaryOp.SIGN, UnaryOp.SQUARE}) {
            host("unary " + op, INTEGERS, exact);
        }
        host("unary " + UnaryOp.NOT, BOOLEANS, exact);
        host("unary " + UnaryOp.EXPM1, FLOATS, "ND4J's is exp(x) - 1, which loses all digits near 0");
        host("unary " + UnaryOp.LOG1P, FLOATS, "ND4J's is log(1 + x), which loses all digits near 0");
        host("unary " + UnaryOp.TANH, FLOATS, "ND4J's loses digits near 0");
        host("unary " + UnaryOp.SIGN, FLOATS, "ND4J's sign of NaN is 0");
        host("unary " + UnaryOp.SOFTPLUS, FLOATS, "ND4J's overflows, and is 0 for large negative numbers");
        host("unary " + UnaryOp.RELU, FLOATS, "ND4J has it with a threshold only");
        all.add(new Detour("unary " + UnaryOp.GELU, FLOATS, COMPOSED, "ND4J's is an approximation: x (1 + erf(x / sqrt 2)) / 2"));
        host("unary " + UnaryOp.GELU_TANH, FLOATS, "ND4J's cubes the constant, too");
    }

    private void binary() {
        for (BinaryOp op : BinaryOp.values()) {
            switch (op) {
                case ADD, SUB, MUL, DIV -> host("binary " + op, INTEGERS, "exact modulo the type's range; a division by 0 is 0");
                case POW -> {
                    host("binary " + op, INTEGERS, "exact modulo the type's range");
                    host("binaryScalar " + op, FLOATS, "in double, from either side");
                }
                case MAX, MIN -> host("binary " + op, union(FLOATS, INTEGERS), "ND4J's forgets a NaN");
                case MOD -> host("binary " + op, union(FLOATS, INTEGERS), "floored, with the sign of the divisor");
                case AND, OR -> host("binary " + op, BOOLEANS, "on bytes");
            }
        }
    }

    private void reductions() {
        Set<DType> numeric = union(FLOATS, INTEGERS);
        for (ReduceOp op : ReduceOp.values()) {
            boolean extreme = op == ReduceOp.MAX || op == ReduceOp.MIN;
            host("reduce " + op, numeric, extreme ? "ND4J's forgets a NaN" : "in double, in an order that threads do not change");
            host("scan " + op, numeric, "in double, in the order of the axis");
        }
        host("argReduce", numeric, "NaN is the extreme, the first of equals wins");
        host("topK", numeric, "NaN first, equals in their order");
    }

    private void others() {
        host("randomUniform", ALL, "ND4J's generator is another one than ours");
        for (CompareOp op : CompareOp.values()) {
            host("compare " + op, ALL, "one rule for all types");
        }
        for (String operation : List.of("full", "iota", "where", "cast")) {
            host(operation, ALL, "one rule for all types");
        }
        for (String operation : List.of("pad", "concat", "contiguous", "gather", "indexSelect")) {
            host(operation, ALL, "copies between layouts are ours");
        }
        for (String operation : List.of("scatterAdd", "indexAdd")) {
            host(operation, ALL, "repeated indices add up in their order, in double");
        }
        host("matmul", INTEGERS, "BLAS has no integers");
    }

    private static Set<DType> union(Set<DType> a, Set<DType> b) {
        Set<DType> all = EnumSet.copyOf(a);
        all.addAll(b);
        return all;
    }

    private void host(String operation, Set<DType> dtypes, String reason) {
        all.add(new Detour(operation, dtypes, HOST, reason));
    }
}
