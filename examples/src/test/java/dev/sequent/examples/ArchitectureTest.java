package dev.sequent.examples;

import static com.tngtech.archunit.core.domain.JavaModifier.FINAL;
import static com.tngtech.archunit.lang.conditions.ArchConditions.haveModifier;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.library.Architectures;

/** The arrows between packages, and what no library class may do. */
@AnalyzeClasses(packages = "dev.sequent", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    private static final String ROOT = "dev.sequent.";

    @ArchTest
    static void arrowsPointOneWay(JavaClasses classes) {
        Architectures.layeredArchitecture().consideringOnlyDependenciesInLayers()
                .layer("type").definedBy(ROOT + "type")
                .layer("service").definedBy(ROOT + "service")
                .layer("op").definedBy(ROOT + "op")
                .layer("spi").definedBy(ROOT + "spi")
                .layer("backend").definedBy(ROOT + "backend..", ROOT + "onednn..")
                .layer("tensor").definedBy(ROOT + "tensor")
                .layer("autograd").definedBy(ROOT + "autograd")
                .layer("kernel").definedBy(ROOT + "kernel")
                .layer("cost").definedBy(ROOT + "cost")
                .layer("fused").definedBy(ROOT + "fused..")
                .layer("io").definedBy(ROOT + "io", ROOT + "tokenizers")
                .layer("nn").definedBy(ROOT + "nn")
                .layer("mixer").definedBy(ROOT + "mixer")
                .layer("ssm").definedBy(ROOT + "ssm..")
                .layer("transformer").definedBy(ROOT + "transformer..")
                .layer("model").definedBy(ROOT + "model")
                .layer("generate").definedBy(ROOT + "generate")
                .layer("train").definedBy(ROOT + "train..")
                .layer("examples").definedBy(ROOT + "examples..")
                .whereLayer("type").mayNotAccessAnyLayer()
                .whereLayer("service").mayNotAccessAnyLayer()
                .whereLayer("op").mayOnlyAccessLayers("type")
                .whereLayer("spi").mayOnlyAccessLayers("type", "op")
                .whereLayer("backend").mayOnlyAccessLayers("type", "service", "op", "spi")
                .whereLayer("tensor").mayOnlyAccessLayers("type", "op", "spi", "backend")
                .whereLayer("autograd").mayOnlyAccessLayers("type", "op", "tensor", "kernel")
                .whereLayer("kernel").mayOnlyAccessLayers("type", "service", "spi", "tensor")
                .whereLayer("cost").mayOnlyAccessLayers("type", "tensor")
                .whereLayer("fused").mayOnlyAccessLayers("type", "op", "spi", "tensor", "autograd", "kernel")
                .whereLayer("io").mayOnlyAccessLayers("type", "tensor", "spi")
                .whereLayer("nn").mayOnlyAccessLayers("type", "op", "tensor", "autograd", "cost", "fused")
                .whereLayer("mixer").mayOnlyAccessLayers("type", "service", "tensor", "autograd", "cost", "nn")
                .whereLayer("ssm").mayOnlyAccessLayers("type", "op", "spi", "tensor", "autograd", "kernel", "cost", "fused", "nn", "mixer",
                "model")
                .whereLayer("transformer").mayOnlyAccessLayers("type", "op", "spi", "tensor", "autograd", "kernel", "cost", "fused", "nn",
                "mixer", "model")
                .whereLayer("model").mayOnlyAccessLayers("type", "service", "op", "tensor", "autograd", "cost", "fused", "nn", "mixer",
                "io")
                .whereLayer("generate").mayOnlyAccessLayers("type", "op", "tensor", "autograd", "mixer", "nn", "model", "io")
                .whereLayer("train").mayOnlyAccessLayers("type", "op", "spi", "tensor", "autograd", "kernel", "cost", "fused", "nn",
                "mixer", "model", "io")
                .whereLayer("examples").mayNotBeAccessedByAnyLayer()
                .check(classes);
    }

    @ArchTest
    static void mixersKnowNoModels(JavaClasses classes) {
        noClasses().that().resideInAnyPackage(ROOT + "ssm..", ROOT + "transformer..").and().resideOutsideOfPackage("..checkpoint")
                .should().dependOnClassesThat().resideInAPackage(ROOT + "model").check(classes);
    }

    @ArchTest
    static void packagesHaveNoCycles(JavaClasses classes) {
        slices().matching("dev.sequent.(**)").should().beFreeOfCycles().check(classes);
    }

    @ArchTest
    static void staticFieldsAreFinal(JavaClasses classes) {
        fields().that().areStatic().should(haveModifier(FINAL)).because("there is no process-global mutable state").check(classes);
    }

    @ArchTest
    static void theVectorModuleIsConfinedToKernels(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackages(ROOT + "backend.cpu", ROOT + "fused..", ROOT + "ssm.scan", ROOT + "ssm.s4",
                ROOT + "transformer.attention", ROOT + "transformer.position", ROOT + "testkit")
                .should().dependOnClassesThat().resideInAPackage("jdk.incubator.vector..").check(classes);
    }

    @ArchTest
    static void nativeCodeIsCalledFromBackendsOnly(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackages(ROOT + "backend.cpu", ROOT + "backend.cuda", ROOT + "onednn", ROOT + "testkit.cuda")
                .should().dependOnClassesThat().haveFullyQualifiedName("java.lang.foreign.Linker").check(classes);
    }

    @ArchTest
    static void djlIsKnownToItsModulesOnly(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackages(ROOT + "backend.djl", ROOT + "tokenizers").should().dependOnClassesThat()
                .resideInAPackage("ai.djl..").check(classes);
    }

    @ArchTest
    static void nd4jIsConfinedToItsBackend(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackage(ROOT + "backend.nd4j").should().dependOnClassesThat()
                .resideInAnyPackage("org.nd4j..", "org.bytedeco..").check(classes);
    }

    @ArchTest
    static void theLibraryDoesNotPrint(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackages(ROOT + "examples..", ROOT + "testkit..").should().accessField(System.class, "out")
                .orShould().accessField(System.class, "err").check(classes);
    }
}
