package dev.sequent.backend.cuda;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * The backend's own kernels on one device, compiled when first asked for: elementwise functions and reductions one program per element
 * type, so that a program which computes in F32 does not wait for the others. Guarded by the device's lock.
 */
final class Kernels {
    private static final String STRIDED = "strided.cuh";

    private static final List<String> ELEMENTWISE = List.of("unary", "unary_packed", "binary", "binary_packed", "scalar", "scalar_packed",
            "compare");
    private static final List<String> REDUCTIONS = List.of("reduce_by_thread", "reduce_by_block", "reduce_by_thread_partly",
            "reduce_by_block_partly", "reduce_by_thread_rest", "reduce_by_block_rest", "arg_reduce", "top_k", "scan_by_thread",
            "scan_by_block");

    private final CudaDevice device;
    private final Map<DType, Map<String, CudaFunction>> typed = new EnumMap<>(DType.class);
    private final Map<String, CudaFunction> moving = new HashMap<>();

    Kernels(CudaDevice device) {
        this.device = device;
    }

    /** A kernel of elementwise.cu or reduce.cu for an element type, by its name without type. */
    CudaFunction of(String name, DType dtype) {
        CudaFunction present = typed.computeIfAbsent(dtype, _ -> new HashMap<>()).get(name);
        return present != null ? present : load(name, dtype);
    }

    private CudaFunction load(String name, DType dtype) {
        boolean isReduction = REDUCTIONS.contains(name);
        Map<String, String> expressions = expressions(isReduction, dtype);
        var functions = device.functions(source(isReduction, expressions));
        expressions.forEach((kernel, expression) -> typed.get(dtype).put(kernel, (CudaFunction) functions.get(expression)));
        return typed.get(dtype).get(name);
    }

    /** What the kernels of an element type are called in C++, by their names here. */
    private static Map<String, String> expressions(boolean isReduction, DType dtype) {
        String type = type(dtype);
        Map<String, String> expressions = new HashMap<>();
        for (String kernel : isReduction ? REDUCTIONS : ELEMENTWISE) {
            expressions.put(kernel, switch (kernel) {
                case "reduce_by_thread", "reduce_by_block" -> kernel + "<" + type + ", " + type + ">";
                case "reduce_by_thread_partly", "reduce_by_block_partly" -> kernel.replace("_partly", "") + "<" + type + ", "
                        + accumulator(dtype) + ">";
                case "reduce_by_thread_rest", "reduce_by_block_rest" -> kernel.replace("_rest", "") + "<" + accumulator(dtype) + ", "
                        + type + ">";
                default -> kernel + "<" + type + ">";
            });
        }
        return expressions;
    }

    private static Source source(boolean isReduction, Map<String, String> expressions) {
        return source(isReduction ? "reduce" : "elementwise", expressions.values().stream().distinct().sorted().toList());
    }

    /** All programs of the backend. */
    static List<Source> sources() {
        List<Source> all = new ArrayList<>(List.of(source("movement", movingNames()), source("indexing", indexingNames()),
                source("product", productNames())));
        for (DType dtype : DType.values()) {
            all.add(source(false, expressions(false, dtype)));
            all.add(source(true, expressions(true, dtype)));
        }
        return all;
    }

    /** A kernel of movement.cu, by its whole name. */
    CudaFunction moving(String name) {
        return general("movement", name, Kernels::movingNames);
    }

    private static List<String> movingNames() {
        List<String> all = new ArrayList<>();
        for (String word : new String[] {"u8", "u16", "u32", "u64"}) {
            all.addAll(List.of("fill<" + word + ">", "copy<" + word + ">", "transpose<" + word + ">", "where<" + word + ">"));
        }
        for (DType dtype : DType.values()) {
            all.addAll(List.of("cast<" + type(dtype) + ">", "iota<" + type(dtype) + ">", "uniform<" + type(dtype) + ">"));
        }
        return all;
    }

    /** A kernel of indexing.cu, by its whole name. */
    CudaFunction indexing(String name) {
        return general("indexing", name, Kernels::indexingNames);
    }

    private static List<String> indexingNames() {
        List<String> all = new ArrayList<>(List.of("digit_counts", "digit_offsets", "digit_scatter"));
        for (DType index : new DType[] {DType.I64, DType.I32}) {
            all.add("scatter_keys<" + type(index) + ">");
            for (String word : new String[] {"u8", "u16", "u32", "u64"}) {
                all.add("gather<" + word + ", " + type(index) + ">");
            }
        }
        for (DType dtype : DType.values()) {
            all.add("scatter_runs<" + type(dtype) + ">");
            for (DType index : new DType[] {DType.I64, DType.I32}) {
                all.add("scatter_lines<" + type(dtype) + ", " + type(index) + ">");
            }
        }
        return all;
    }

    /** A kernel of product.cu, by its whole name. */
    CudaFunction product(String name) {
        return general("product", name, Kernels::productNames);
    }

    private static List<String> productNames() {
        List<String> all = new ArrayList<>();
        for (DType dtype : DType.values()) {
            all.add("product<" + type(dtype) + ">");
        }
        return all;
    }

    private CudaFunction general(String file, String name, Supplier<List<String>> functions) {
        CudaFunction present = moving.get(name);
        if (present == null) {
            device.functions(source(file, functions.get())).forEach((expression, function) ->
                    moving.put(expression, (CudaFunction) function));
            present = moving.get(name);
        }
        return present;
    }

    private static Source source(String file, List<String> functions) {
        Map<String, String> defines = new HashMap<>();
        define(defines, "UNARY_", UnaryOp.values());
        define(defines, "BINARY_", BinaryOp.values());
        define(defines, "COMPARE_", CompareOp.values());
        define(defines, "REDUCE_", ReduceOp.values());
        define(defines, "DTYPE_", DType.values());
        return new Source(file, Programs.resource(file + ".cu"), functions, defines, Map.of(STRIDED, Programs.resource(STRIDED)));
    }

    private static void define(Map<String, String> defines, String prefix, Enum<?>[] constants) {
        for (Enum<?> constant : constants) {
            defines.put(prefix + constant.name(), Integer.toString(constant.ordinal()));
        }
    }

    /** The type of a dtype's elements in device code. */
    static String type(DType dtype) {
        return switch (dtype) {
            case F64 -> "double";
            case F32 -> "float";
            case F16 -> "f16";
            case BF16 -> "bf16";
            case I64 -> "i64";
            case I32 -> "i32";
            case BOOL -> "u8";
        };
    }

    /** The type in which sums of a dtype are kept. */
    private static String accumulator(DType dtype) {
        return dtype == DType.F64 ? "double" : dtype.isFloat() ? "float" : "i64";
    }

    /** Bytes of the type in which sums of a dtype are kept. */
    static int accumulatorBytes(DType dtype) {
        return dtype.isFloat() && dtype != DType.F64 ? Float.BYTES : Long.BYTES;
    }

    /** The unsigned word of so many bytes in device code. */
    static String word(DType dtype) {
        return "u" + Byte.SIZE * dtype.bytes();
    }
}
