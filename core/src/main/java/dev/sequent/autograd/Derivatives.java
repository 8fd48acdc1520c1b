package dev.sequent.autograd;

import dev.sequent.kernel.KernelTable;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Op;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.AutogradException;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.Optional;

/**
 * The derivative of every primitive, as one exhaustive switch. {@code dy} is the derivative of the loss with respect to the
 * primitive's result; each case returns those with respect to its operands (null where there is none or it is not needed).
 */
final class Derivatives {
    private static final double TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);
    private static final double INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI);
    private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

    private Derivatives() {}

    /** Whether the derivative of {@code op} reads operand {@code i}, given which derivatives are needed. */
    static boolean readsInput(Op op, int i, boolean[] needed) {
        return switch (op) {
            case Op.Unary u -> switch (u.f()) {
                case NEG, SIGN, FLOOR, NOT, SQRT, RSQRT, RECIPROCAL, EXP, EXPM1, TANH, SIGMOID, RELU -> false;
                case ABS, SQUARE, LOG, LOG1P, SIN, COS, ERF, SOFTPLUS, SILU, GELU, GELU_TANH -> true;
            };
            case Op.Binary b -> switch (b.f()) {
                case ADD, SUB, AND, OR -> false;
                case MUL -> needed[1 - i];
                case DIV -> i == 1 || needed[1];
                case POW, MAX, MIN, MOD -> true;
            };
            case Op.Scalar s -> switch (s.f()) {
                case ADD, SUB, MUL, AND, OR -> false;
                case DIV -> s.reversed();
                case POW, MAX, MIN, MOD -> true;
            };
            case Op.Where _ -> i == 0;
            case Op.Reduce r -> r.f() != ReduceOp.SUM;
            case Op.Cumulative c -> c.f() == ReduceOp.PROD;
            case Op.Gather _, Op.IndexSelect _, Op.ScatterAdd _, Op.IndexAdd _ -> i == 1;
            case Op.MatMul _ -> needed[1 - i];
            case Op.Compare _, Op.Cast _, Op.ArgReduce _, Op.Reshape _, Op.Permute _, Op.BroadcastTo _, Op.Slice _, Op.Pad _, Op.Flip _,
                    Op.Concat _, Op.Contiguous _, Op.TopK _ -> false;
        };
    }

    /** Whether the derivative of {@code op} reads its result. */
    static boolean readsOutput(Op op) {
        return switch (op) {
            case Op.Unary u -> switch (u.f()) {
                case SQRT, RSQRT, RECIPROCAL, EXP, EXPM1, TANH, SIGMOID, RELU -> true;
                default -> false;
            };
            case Op.Binary b -> b.f() == BinaryOp.POW;
            case Op.Scalar s -> s.f() == BinaryOp.POW && s.reversed();
            case Op.Reduce r -> r.f() != ReduceOp.SUM;
            case Op.Cumulative c -> c.f() == ReduceOp.PROD;
            default -> false;
        };
    }

    static Tensor[] of(Node.Primitive p, Tensor dy) {
        return switch (p.op()) {
            case Op.Unary u -> one(inOnePass(u.f(), p, dy).orElseGet(() -> unary(u.f(), p, dy)));
            case Op.Binary b -> binary(b.f(), p, dy);
            case Op.Scalar s -> one(scalar(s, p, dy));
            case Op.Where _ -> {
                Tensor zeros = zeros(dy);
                yield new Tensor[] {null, p.needed()[1] ? p.x(0).where(dy, zeros) : null, p.needed()[2] ? p.x(0).where(zeros, dy) : null};
            }
            case Op.Cast _ -> one(dy.cast(p.dtype()));
            case Op.Reduce r -> one(reduce(r, p, dy));
            case Op.Cumulative c -> one(cumulative(c, p, dy));
            case Op.Reshape _ -> one(dy.reshape(p.shapes()[0]));
            case Op.Permute m -> one(dy.permute(inverse(m.order())));
            case Op.BroadcastTo _ -> one(sumTo(dy, p.shapes()[0]));
            case Op.Slice s -> one(padBack(dy, s, p.shapes()[0]));
            case Op.Pad d -> one(sliceBox(dy, d.before(), p.shapes()[0]));
            case Op.Flip f -> one(f.axes().length == 0 ? dy : dy.flip(f.axes()));
            case Op.Concat c -> concat(c.axis(), p, dy);
            case Op.Contiguous _ -> one(dy);
            case Op.Gather g -> new Tensor[] {zeros(dy, p.shapes()[0]).scatterAdd(g.axis(), p.x(1), dy), null};
            case Op.ScatterAdd s -> new Tensor[] {dy, null, p.needed()[2] ? dy.gather(s.axis(), p.x(1)) : null};
            case Op.IndexSelect s -> new Tensor[] {zeros(dy, p.shapes()[0]).indexAdd(s.axis(), p.x(1), dy), null};
            case Op.IndexAdd s -> new Tensor[] {dy, null, p.needed()[2] ? dy.indexSelect(s.axis(), p.x(1)) : null};
            case Op.MatMul m -> matmul(m, p, dy);
            case Op.Compare _, Op.ArgReduce _, Op.TopK _ -> throw new AutogradException("[" + p.op().label() + "] has no derivative");
        };
    }

    /** By a kernel of the device, unless derivatives of this derivative may be wanted. */
    private static Optional<Tensor> inOnePass(UnaryOp f, Node.Primitive p, Tensor dy) {
        if (Tracing.current() != null) {
            return Optional.empty();
        }
        return KernelTable.of(dy.device()).find(UnaryDerivativeKernel.class, k -> k.refusal(f, dy))
                .map(k -> k.derivative(f, dy, p.result() == null ? p.x(0) : p.result()));
    }

    private static Tensor unary(UnaryOp f, Node.Primitive p, Tensor dy) {
        Tensor y = p.result();
        Tensor x = p.x(0);
        return switch (f) {
            case NEG -> dy.neg();
            case ABS -> dy.mul(x.unary(UnaryOp.SIGN));
            case SIGN, FLOOR, NOT -> null;
            case SQUARE -> dy.mul(x).mul(2);
            case SQRT -> dy.div(y).mul(0.5);
            case RSQRT -> dy.mul(y.mul(y).mul(y)).mul(-0.5);
            case RECIPROCAL -> dy.mul(y.square()).neg();
            case EXP -> dy.mul(y);
            case EXPM1 -> dy.mul(y.add(1));
            case LOG -> dy.div(x);
            case LOG1P -> dy.div(x.add(1));
            case SIN -> dy.mul(x.cos());
            case COS -> dy.mul(x.sin()).neg();
            case TANH -> dy.mul(y.square().neg().add(1));
            case ERF -> dy.mul(x.square().neg().exp()).mul(TWO_OVER_SQRT_PI);
            case SIGMOID -> dy.mul(y.mul(y.neg().add(1)));
            case SOFTPLUS -> dy.mul(x.sigmoid());
            case RELU -> y.compare(CompareOp.GT, 0).where(dy, zeros(dy));
            case SILU -> {
                Tensor s = x.sigmoid();
                yield dy.mul(s.mul(x.mul(s.neg().add(1)).add(1)));
            }
            case GELU -> {
                Tensor cdf = x.mul(Math.sqrt(0.5)).unary(UnaryOp.ERF).add(1).mul(0.5);
                Tensor pdf = x.square().mul(-0.5).exp().mul(INV_SQRT_2PI);
                yield dy.mul(cdf.add(x.mul(pdf)));
            }
            case GELU_TANH -> {
                Tensor x2 = x.square();
                Tensor t = x.mul(x2.mul(0.044715).add(1)).mul(SQRT_2_OVER_PI).tanh();
                Tensor inner = x2.mul(3 * 0.044715).add(1).mul(SQRT_2_OVER_PI);
                yield dy.mul(t.add(1).mul(0.5).add(x.mul(t.square().neg().add(1)).mul(inner).mul(0.5)));
            }
        };
    }

    private static Tensor[] binary(BinaryOp f, Node.Primitive p, Tensor dy) {
        Tensor a = p.x(0);
        Tensor b = p.x(1);
        boolean da = p.needed()[0];
        boolean db = p.needed()[1];
        return switch (f) {
            case ADD -> new Tensor[] {dy, dy};
            case SUB -> new Tensor[] {dy, db ? dy.neg() : null};
            case MUL -> new Tensor[] {da ? dy.mul(b) : null, db ? dy.mul(a) : null};
            case DIV -> new Tensor[] {da ? dy.div(b) : null, db ? dy.mul(a).div(b.square()).neg() : null};
            case POW -> {
                // d/da a^0 = 0 even where a = 0; d/db a^b = a^b log a, which is 0 where a = 0 (the limit for b > 0) and NaN where a < 0
                yield new Tensor[] {
                    da ? b.compare(CompareOp.EQ, 0).where(zeros(dy), dy.mul(b.mul(a.binary(BinaryOp.POW, b.sub(1))))) : null,
                    db ? dy.mul(p.result().mul(a.compare(CompareOp.EQ, 0).where(Tensor.ones(a.device(), a.dtype()), a).log())) : null};
            }
            case MAX, MIN -> {
                Tensor first = a.compare(f == BinaryOp.MAX ? CompareOp.GT : CompareOp.LT, b);
                Tensor share = a.compare(CompareOp.EQ, b).where(half(dy), zeros(dy)); // equal operands share the derivative
                Tensor toA = first.where(dy, share);
                yield new Tensor[] {toA, db ? dy.sub(toA) : null};
            }
            case MOD -> new Tensor[] {dy, db ? dy.mul(a.div(b).unary(UnaryOp.FLOOR)).neg() : null};
            case AND, OR -> throw new AutogradException("[" + f + "] has no derivative");
        };
    }

    private static Tensor half(Tensor dy) {
        return dy.mul(0.5);
    }

    private static Tensor scalar(Op.Scalar op, Node.Primitive p, Tensor dy) {
        double s = op.s();
        Tensor x = p.x(0);
        return switch (op.f()) {
            case ADD -> dy;
            case SUB -> op.reversed() ? dy.neg() : dy;
            case MUL -> dy.mul(s);
            case DIV -> op.reversed() ? dy.mul(-s).div(x.square()) : dy.div(s);
            case POW -> op.reversed() ? dy.mul(p.result()).mul(s == 0 ? 0 : Math.log(s)) : s == 0 ? null : dy.mul(x.pow(s - 1)).mul(s);
            case MAX -> passWhere(x.compare(CompareOp.GT, s), x.compare(CompareOp.EQ, s), dy);
            case MIN -> passWhere(x.compare(CompareOp.LT, s), x.compare(CompareOp.EQ, s), dy);
            case MOD -> op.reversed() ? dy.mul(x.binary(BinaryOp.DIV, s, true).unary(UnaryOp.FLOOR)).neg() : dy;
            case AND, OR -> throw new AutogradException("[" + op.label() + "] has no derivative");
        };
    }

    private static Tensor passWhere(Tensor inside, Tensor edge, Tensor dy) {
        return inside.where(dy, edge.where(half(dy), zeros(dy)));
    }

    private static Tensor reduce(Op.Reduce r, Node.Primitive p, Tensor dy) {
        Shape full = p.shapes()[0];
        return switch (r.f()) {
            case SUM -> dy.broadcastTo(full);
            case MAX, MIN -> {
                // equal extremes share the derivative
                Tensor hit = p.x(0).compare(CompareOp.EQ, p.result()).cast(dy.dtype());
                yield hit.div(hit.reduce(ReduceOp.SUM, true, r.axes())).mul(dy);
            }
            case PROD -> productDerivative(p.x(0), r.axes()).mul(dy);
        };
    }

    /** Product of all other elements along {@code axes}, exact when some are zero: exclusive products from both ends. */
    private static Tensor productDerivative(Tensor x, int[] axes) {
        int rank = x.rank();
        int[] order = new int[rank];
        int kept = 0;
        for (int i = 0; i < rank; i++) {
            if (Arrays.binarySearch(axes, i) < 0) {
                order[kept++] = i;
            }
        }
        System.arraycopy(axes, 0, order, kept, axes.length);
        Tensor moved = x.permute(order);
        Tensor flat = moved.reshape(Shape.of(Arrays.copyOf(moved.shape().toArray(), kept))
                .insert(kept, x.size() == 0 ? 0 : sizeOf(x, axes)));
        long n = flat.dim(-1);
        Tensor before = flat.cumulative(ReduceOp.PROD, -1, false).pad(-1, 1, 0, 1).slice(-1, 0, n);
        Tensor after = flat.cumulative(ReduceOp.PROD, -1, true).pad(-1, 0, 1, 1).slice(-1, 1, n + 1);
        return before.mul(after).reshape(moved.shape()).permute(inverse(order));
    }

    private static long sizeOf(Tensor x, int[] axes) {
        long n = 1;
        for (int a : axes) {
            n *= x.dim(a);
        }
        return n;
    }

    private static Tensor cumulative(Op.Cumulative c, Node.Primitive p, Tensor dy) {
        return switch (c.f()) {
            case SUM -> dy.cumulative(ReduceOp.SUM, c.axis(), !c.reverse());
            case PROD -> cumulativeProduct(c, p.x(0), p.result(), dy);
            case MAX, MIN -> throw new AutogradException("[cumulative " + c.f()
                    + "] has no derivative; use cumulative sums or products, or reduce");
        };
    }

    /**
     * With y_j the products up to x_j: dx_i = y_{i-1} s_i and s_i = dy_i + x_{i+1} s_{i+1}, a recurrence that doubles its reach in every
     * round. Exact when some x are zero, where y_j / x_i is not.
     */
    private static Tensor cumulativeProduct(Op.Cumulative c, Tensor x, Tensor y, Tensor dy) {
        Tensor factor = shifted(x, c, 1, 0);
        Tensor sum = dy;
        for (long reach = 1; reach < x.dim(c.axis()); reach *= 2) {
            sum = sum.add(factor.mul(shifted(sum, c, reach, 0)));
            factor = factor.mul(shifted(factor, c, reach, 0));
        }
        return sum.mul(shifted(y, c, -1, 1));
    }

    /** Element i becomes element i + distance in the direction of the products; {@code fill} where there is none. */
    private static Tensor shifted(Tensor x, Op.Cumulative c, long distance, double fill) {
        long n = x.dim(c.axis());
        long by = Math.min(n, Math.abs(distance));
        boolean fromTheEnd = distance > 0 != c.reverse();
        return fromTheEnd ? x.slice(c.axis(), by, n).pad(c.axis(), 0, by, fill) : x.slice(c.axis(), 0, n - by).pad(c.axis(), by, 0, fill);
    }

    private static Tensor[] concat(int axis, Node.Primitive p, Tensor dy) {
        Tensor[] parts = new Tensor[p.shapes().length];
        long at = 0;
        for (int i = 0; i < parts.length; i++) {
            long n = p.shapes()[i].dim(axis);
            parts[i] = p.needed()[i] ? dy.slice(axis, at, at + n) : null;
            at += n;
        }
        return parts;
    }

    private static Tensor[] matmul(Op.MatMul m, Node.Primitive p, Tensor dy) {
        Tensor a = p.x(0);
        Tensor b = p.x(1);
        boolean ta = m.transposeA();
        boolean tb = m.transposeB();
        Tensor da = null;
        Tensor db = null;
        if (p.needed()[0]) {
            da = ta ? b.matmul(dy, tb, true) : dy.matmul(b, false, !tb);
        }
        if (p.needed()[1]) {
            db = tb ? dy.matmul(a, true, ta) : a.matmul(dy, !ta, false);
        }
        return new Tensor[] {da, db};
    }

    /** Sums a broadcast derivative back to the operand's shape. */
    private static Tensor sumTo(Tensor dy, Shape to) {
        int extra = dy.rank() - to.rank();
        int[] axes = new int[dy.rank()];
        int n = 0;
        for (int i = 0; i < dy.rank(); i++) {
            if (i < extra || to.dim(i - extra) == 1 && dy.dim(i) != 1) {
                axes[n++] = i;
            }
        }
        return n == 0 ? dy.reshape(to) : dy.reduce(ReduceOp.SUM, true, Arrays.copyOf(axes, n)).reshape(to);
    }

    private static Tensor padBack(Tensor dy, Op.Slice s, Shape full) {
        Tensor x = dy;
        for (int axis = 0; axis < full.rank(); axis++) {
            long before = s.start()[axis];
            long after = full.dim(axis) - s.stop()[axis];
            if (before != 0 || after != 0) {
                x = x.pad(axis, before, after, 0);
            }
        }
        return x;
    }

    private static Tensor sliceBox(Tensor dy, long[] start, Shape box) {
        Tensor x = dy;
        for (int axis = 0; axis < box.rank(); axis++) {
            x = x.slice(axis, start[axis], start[axis] + box.dim(axis));
        }
        return x;
    }

    private static int[] inverse(int[] order) {
        int[] inverse = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            inverse[order[i]] = i;
        }
        return inverse;
    }

    private static Tensor zeros(Tensor like) {
        return Tensor.zeros(like.device(), like.dtype());
    }

    private static Tensor zeros(Tensor like, Shape shape) {
        return Tensor.zeros(like.device(), like.dtype(), shape.toArray());
    }

    private static Tensor[] one(Tensor dx) {
        return new Tensor[] {dx};
    }
}
