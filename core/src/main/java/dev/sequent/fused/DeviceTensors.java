package dev.sequent.fused;

import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.spi.TensorHandle;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * How kernels in device code read and make tensors, and launch. To be used inside a scope, as custom operations are: dense copies of
 * operands and scratch tensors belong to it; work on a device runs in order, so they may be released as soon as it has been submitted.
 * Thread-safe.
 */
public final class DeviceTensors {
    /** Threads of a block in kernels that treat elements one by one. */
    private static final int THREADS = 256;
    private static final int MOST_BLOCKS = 1 << 20;

    private final DeviceCode code;
    private final Map<Program, Map<String, DeviceCode.Function>> programs = new ConcurrentHashMap<>();

    /** Access to the tensors of one backend. */
    public DeviceTensors(DeviceCode code) {
        this.code = code;
    }

    /** Why a kernel for the three float types of GPUs cannot work on a tensor; empty when it can. */
    public static Optional<String> refusal(Tensor x) {
        return switch (x.dtype()) {
            case F32, BF16, F16 -> x.size() <= Integer.MAX_VALUE * 64L && (x.rank() == 0 || x.dim(-1) <= Integer.MAX_VALUE - 4096)
                ? Optional.empty() : Optional.of("is too large: " + x.shape());
            default -> Optional.of("takes F32, BF16 and F16, given " + x.dtype());
        };
    }

    /** The type of a dtype's elements in device code. */
    public static String type(DType dtype) {
        return switch (dtype) {
            case F32 -> "float";
            case BF16 -> "bf16";
            case F16 -> "f16";
            case I32 -> "int";
            case I64 -> "i64";
            case F64, BOOL -> throw new BackendException("[device code] expected F32, BF16, F16, I32 or I64, given " + dtype);
        };
    }

    /** A program in a resource beside {@code owner}, with the header that all fused kernels share. */
    public static Source source(Class<?> owner, String file, String... functions) {
        return Source.of(file, text(owner, file + ".cu"), functions).header("fused.cuh", text(DeviceTensors.class, "fused.cuh"));
    }

    /** A resource beside {@code owner}, for sources with headers of their own. */
    public static String text(Class<?> owner, String file) {
        try (InputStream in = owner.getResourceAsStream(file)) {
            if (in == null) {
                throw new BackendException("[device code] expected the resource " + file + " beside " + owner.getName() + ", given none");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The limits of the device of {@code like}. */
    public DeviceCode.Limits limits(Tensor like) {
        return code.limits(like.device().index());
    }

    /** A program on one device. */
    private record Program(int device, Object key) {}

    /**
     * A function on the device of {@code like}, by the name of its template.
     *
     * @param key names the program among those of this object
     * @param source makes the program, when it is asked for the first time
     */
    public DeviceCode.Function function(Tensor like, Object key, Supplier<Source> source, String template) {
        int index = like.device().index();
        return programs.computeIfAbsent(new Program(index, key), _ -> byTemplate(code.functions(source.get(), index))).get(template);
    }

    private static Map<String, DeviceCode.Function> byTemplate(Map<String, DeviceCode.Function> functions) {
        Map<String, DeviceCode.Function> templates = new HashMap<>();
        functions.forEach((name, function) -> templates.put(name.substring(0, name.indexOf('<')), function));
        return templates;
    }

    /**
     * Submits a launch; tensors among the arguments are pointers to their first elements, {@code Tensor[]} a struct of pointers, the others
     * as {@link DeviceCode#launch} says.
     */
    public void launch(DeviceCode.Function function, Grid grid, Object... arguments) {
        Object[] raw = new Object[arguments.length];
        for (int i = 0; i < raw.length; i++) {
            raw[i] = switch (arguments[i]) {
                case Tensor x -> x.handle();
                case Tensor[] xs -> handles(xs);
                case null -> null;
                case Boolean b -> b ? 1 : 0;
                case Object o -> o;
            };
        }
        code.launch(function, grid, raw);
    }

    private static TensorHandle[] handles(Tensor[] xs) {
        TensorHandle[] handles = new TensorHandle[xs.length];
        for (int i = 0; i < xs.length; i++) {
            handles[i] = xs[i] == null ? null : xs[i].handle();
        }
        return handles;
    }

    /** Number of rows of a tensor whose last axis is a row. */
    public static long rows(Tensor x) {
        return x.size() == 0 ? 0 : x.size() / x.dim(-1);
    }

    /** A grid with a block of {@code threads} for every row, or fewer blocks, which stride over the rows. */
    public static Grid forRows(long rows, int threads) {
        return Grid.of((int) Math.min(rows, MOST_BLOCKS), threads);
    }

    /** A grid with a thread for every one of {@code work} items. */
    public static Grid covering(long work) {
        return Grid.covering(work, THREADS);
    }

    /**
     * Adds up partial sums: {@code out[i]} is the sum of {@code parts[k size + i]}, k ascending below {@code count}; {@code sums} is
     * fused.cuh's sum_parts.
     */
    public void sumParts(DeviceCode.Function sums, Tensor parts, long count, Tensor out) {
        if (out != null) {
            launch(sums, covering(out.size()), parts, count, out.size(), out);
        }
    }

    /** The tensor itself if it is laid out in row-major order without gaps, else a copy; null for null. */
    public Tensor dense(Tensor x) {
        return x == null || isDense(x) ? x : x.contiguous();
    }

    /** Whether {@link #dense} gives the tensor itself, so that a kernel can change it in place. */
    public boolean isDense(Tensor x) {
        return code.view(x.handle()).contiguous();
    }

    /** A tensor (B, T, E) itself if its tokens are at one distance and the features neighbours, else a dense copy; null for null. */
    public Tensor tokens(Tensor x) {
        if (x == null) {
            return null;
        }
        long[] strides = strides(x);
        boolean even = (x.dim(2) == 1 || strides[2] == 1) && (x.dim(0) == 1 || strides[0] == x.dim(1) * strides[1]);
        return even ? x : x.contiguous();
    }

    /** Flags of tokens as an I32 tensor on the device of {@code like}. */
    public static Tensor flags(byte[] flags, Tensor like) {
        int[] wide = new int[flags.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = flags[i];
        }
        return Tensor.of(like.device(), wide, wide.length);
    }

    /**
     * Checks that indices are below {@code bound}, and not negative unless {@code allowNegative}; waits for the device. While work is
     * recorded for a graph, the indices are counted in every replay, but no one can be told of wrong ones: kernels must bear them.
     *
     * @param check fused.cuh's check_indices for the dtype of the indices
     * @param indices dense
     * @return I64 (2), on the device; the second element is the number of indices that are not negative
     * @throws ShapeException naming the first index that is out of range
     */
    public Tensor checkIndices(String op, DeviceCode.Function check, Tensor indices, long bound, boolean allowNegative) {
        Tensor found = allocate(indices, DType.I64, Shape.of(2));
        launch(check, Grid.of(1, THREADS), indices, indices.size(), bound, allowNegative, found);
        if (indices.device().capturing()) {
            return found;
        }
        long[] result = found.toLongs();
        if (result[0] < indices.size()) {
            long index = indices.reshape(-1).slice(0, result[0], result[0] + 1).toLongs()[0];
            throw new ShapeException(op, "indices in [0, " + bound + ")", index + " at position " + result[0]);
        }
        return found;
    }

    /** Distances of neighbours along each axis, in elements. */
    public long[] strides(Tensor x) {
        return code.view(x.handle()).strides();
    }

    /** An uninitialised dense tensor on the device of {@code like}. */
    public Tensor allocate(Tensor like, DType dtype, Shape shape) {
        return Tensor.wrap(like.device(), code.allocate(shape, dtype, like.device().index()));
    }

    /** An uninitialised dense tensor with the device, dtype and shape of {@code like}; null for null. */
    public Tensor allocate(Tensor like) {
        return like == null ? null : allocate(like, like.dtype(), like.shape());
    }

    /** {@code elements} floats of any content on the device of {@code like}. */
    public Tensor scratch(Tensor like, long elements) {
        return allocate(like, DType.F32, Shape.of(elements));
    }
}
